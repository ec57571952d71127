"""The command line as `pip install` brings it, without the extras."""

import json
import subprocess
import sys
from importlib.metadata import files, requires
from pathlib import Path
from sysconfig import get_path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.heavy

PACKAGE = "hazelcast-sidecar-injector"

# None in sys.modules is a module that cannot be found.
PROGRAM = """
import contextlib, io, json, sys
missing, calls = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(missing))
from hazelcast_sidecar.cli import main
for arguments in calls:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:  # as --help does
            status = end.code
    print(json.dumps([arguments, status, out.getvalue(), err.getvalue()]))
"""
MANIFEST = "shop.yaml"
WITHOUT: list[tuple[list[str], str]] = [
    (["inject", MANIFEST], "name: hazelcast"),
    (["inject", "-o", "table", MANIFEST], "injected"),
    (["uninject", MANIFEST], "kind: Deployment"),
    (["explain", "-f", MANIFEST], "shop"),
    (["resources", "--group", "shop", "-o", "table"], "ConfigMap"),
    (["install"], "kind: MutatingWebhookConfiguration"),
    (["uninstall"], "kind: MutatingWebhookConfiguration"),
    (["version"], "."),
    (["help", "serve"], "--tls-cert"),
    (["policy"], "kind: MutatingAdmissionPolicy"),
    (["completion", "bash"], "--tls-cert"),
    (["serve", "--help"], "--tls-cert"),
    (["controller", "--help"], "--repair"),
    (["check", "--help"], "--pre"),
    (["status", "--help"], "--all-namespaces"),
    (["demo", "--help"], "--exit"),
]
NEEDING: list[tuple[list[str], str]] = [
    (["serve", "--tls-cert", "tls.crt", "--tls-key", "tls.key"], "cluster"),
    (["controller"], "cluster"),
    (["check"], "cluster"),
    (["status"], "cluster"),
    (["explain", "deployment/shop"], "cluster"),
    (["demo"], "demo"),
]


class Done(NamedTuple):
    """What a call of the command line came to."""

    status: int
    out: str
    err: str


def dependencies(name: str) -> set[str]:
    """A distribution and what it needs, without any extra."""
    found = {name}
    for line in requires(name) or []:
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            found |= dependencies(requirement.name)
    return found


@pytest.fixture(scope="module")
def of_extras() -> list[str]:
    """The modules of this environment that the dependencies do not bring."""
    brought = {file.parts[0] for name in dependencies(PACKAGE) for file in files(name) or []}
    here = {path.name for path in Path(get_path("purelib")).iterdir()}
    return sorted({name.partition(".")[0] for name in here - brought})


@pytest.fixture(scope="module")
def done(of_extras: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """Every call, in one process that has not loaded anything before."""
    folder = tmp_path_factory.mktemp("extras")
    (folder / MANIFEST).write_text(DEPLOYMENT)
    assert "aiohttp" in of_extras
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        input=json.dumps([of_extras, [arguments for arguments, _ in WITHOUT + NEEDING]]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return {
        " ".join(arguments): Done(*rest) for arguments, *rest in map(json.loads, ended.stdout.splitlines())
    }


@pytest.mark.parametrize(("arguments", "printed"), WITHOUT)
def test_what_reads_and_writes_files_needs_no_extra(
    done: dict[str, Done], arguments: list[str], printed: str
) -> None:
    status, out, err = done[" ".join(arguments)]

    assert status == 0, err
    assert printed in out


@pytest.mark.parametrize(("arguments", "extra"), NEEDING)
def test_what_needs_an_extra_says_which(done: dict[str, Done], arguments: list[str], extra: str) -> None:
    status, _, err = done[" ".join(arguments)]

    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith(f'hazelcast-sidecar {arguments[0]}: needs the package "')
    assert err.endswith(f"\", which is not installed: pip install 'hazelcast-sidecar-injector[{extra}]'\n")


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, annotations: {sidecar.hazelcast.com/inject: "true"}}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}]}
"""

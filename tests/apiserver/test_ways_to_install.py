"""The same installation by kustomize, the chart with each Helm, `install`, install.yaml: object by object."""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.names import INJECTOR, SETTINGS, SETTINGS_KEY
from hazelcast_sidecar.spec import settings
from manifests.components import COMPONENTS
from tests.apiserver.conftest import found_programs
from tests.harness.command_line import run_here
from tests.harness.control_plane import ControlPlane
from tests.harness.helm import CHART, Helm, HelmError
from tests.harness.installations import INSTALLATIONS, SCHEDULED, WITHOUT_KUSTOMIZATION, Installation
from tests.harness.shipped_manifests import ROOT, apply_strictly

pytestmark = pytest.mark.apiserver

MANIFESTS = ROOT / "manifests"

Identity = tuple[str, str, str]
Objects = dict[Identity, dict[str, Any]]


@pytest.fixture(scope="module")
def kubectl(request: pytest.FixtureRequest) -> Path:
    return found_programs(request.config) / "kubectl"


# --- each way ----------------------------------------------------------------------------------------------


def comparable(documents: Iterable[dict[str, Any]]) -> Objects:
    """Objects by kind, namespace and name.

    Two texts are compared by what they say: settings, which have comments in the base, and base64, which
    kustomize breaks into lines.
    """
    found: Objects = {}
    for document in documents:
        metadata = document["metadata"]
        identity = document["kind"], metadata.get("namespace", ""), metadata["name"]
        assert identity not in found
        found[identity] = document
        if document["kind"] == "ConfigMap" and metadata["name"] == SETTINGS:
            document["data"] = settings.read(document["data"][SETTINGS_KEY])
        for webhook in document.get("webhooks", ()):
            if bundle := webhook["clientConfig"].get("caBundle"):
                webhook["clientConfig"]["caBundle"] = base64.b64decode(bundle)
    return found


def by_kustomize(kubectl: Path, kustomization: dict[str, Any], folder: Path, manifests: Path) -> Objects:
    places = {
        key: [os.path.relpath(manifests / each, folder) for each in kustomization[key]]
        for key in ("resources", "components")
        if key in kustomization
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization | places))
    command = [str(kubectl), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return comparable(yaml.safe_load_all(done.stdout))


def by_helm(helm: Helm, values: dict[str, Any], folder: Path, namespace: str = INJECTOR) -> Objects:
    """The chart's objects, and no test's; Helm makes the namespace, if it is asked to, and no chart does."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    rendered = helm.template(namespace, f"--values={file}")
    return comparable(d for d in rendered if "helm.sh/hook" not in d["metadata"].get("annotations", {}))


def by_command(values: dict[str, Any], folder: Path, namespace: str = INJECTOR) -> Objects:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = run_here("install", "--values", str(file), "--namespace", namespace)
    assert (done.returncode, done.stderr) == (0, "")
    return comparable(yaml.safe_load_all(done.stdout))


def without_namespace(objects: Objects) -> Objects:
    assert sum(kind == "Namespace" for kind, _, _ in objects) == 1
    return {identity: found for identity, found in objects.items() if identity[0] != "Namespace"}


# --- they are equal ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", INSTALLATIONS.values(), ids=INSTALLATIONS)
def test_kustomize_and_install_give_the_same(given: Installation, kubectl: Path, tmp_path: Path) -> None:
    assert by_kustomize(kubectl, given.kustomization, tmp_path, MANIFESTS) == by_command(
        given.values, tmp_path
    )


@pytest.mark.parametrize(
    "values",
    [*(given.values for given in INSTALLATIONS.values()), *WITHOUT_KUSTOMIZATION.values()],
    ids=[*INSTALLATIONS, *WITHOUT_KUSTOMIZATION],
)
def test_the_chart_and_install_give_the_same(values: dict[str, Any], helm: Helm, tmp_path: Path) -> None:
    assert by_helm(helm, values, tmp_path) == without_namespace(by_command(values, tmp_path))


def test_they_do_so_in_any_namespace(helm: Helm, tmp_path: Path) -> None:
    values = {
        "repair": "all",
        "certificates": {"source": "cert-manager"},
        "monitoring": {"prometheus": True, "dashboards": True},
    }
    chart = by_helm(helm, values, tmp_path, "elsewhere")
    assert chart == without_namespace(by_command(values, tmp_path, "elsewhere"))
    assert {namespace for _, namespace, _ in chart} == {"", "elsewhere"}
    text = json.dumps(list(chart.values()), default=str).replace("\\", "")
    for form in (f"{INJECTOR}.%s.svc", "kubectl -n %s", 'namespace="%s"'):
        assert form % "elsewhere" in text
        assert form % INJECTOR not in text


def test_certificates_of_ones_own(helm: Helm, kubectl: Path, tmp_path: Path) -> None:
    """Kustomize has the Secret, too; for the others it is made before, as keys belong into no release."""
    manifests = tmp_path / "manifests"
    shutil.copytree(MANIFESTS / "base", manifests / "base")
    shutil.copytree(MANIFESTS / "overlays" / "dev", manifests / "overlays" / "dev", dirs_exist_ok=True)
    tls = manifests / "overlays" / "dev" / "tls"
    subprocess.run([sys.executable, str(ROOT / "certs" / "make.py"), "--into", str(tls)], check=True)
    values = {"certificates": {"source": "own", "caBundle": (tls / "ca.crt").read_text()}}
    kustomized = by_kustomize(kubectl, {"resources": ["overlays/dev"]}, tmp_path, manifests)
    assert kustomized.pop(("Secret", INJECTOR, f"{INJECTOR}-tls"))
    assert kustomized == by_command(values, tmp_path)
    assert without_namespace(kustomized) == by_helm(helm, values, tmp_path)


def test_the_built_file_is_the_base(kubectl: Path, tmp_path: Path) -> None:
    subprocess.run(["make", "--silent", "install-yaml"], cwd=ROOT, check=True)
    built = comparable(yaml.safe_load_all((ROOT / "build" / "install.yaml").read_text()))
    assert built == by_kustomize(kubectl, {"resources": ["base"]}, tmp_path, MANIFESTS)


def test_every_component_has_its_values() -> None:
    """A new one belongs into manifests/components.py, and what it changes into installation/edits.py.

    `monitoring` changes nothing of the others' objects: its kustomization is written by hand.
    """
    folders = {f"components/{path.name}" for path in (MANIFESTS / "components").iterdir()}
    assert folders - {"components/monitoring"} == {
        component.folder for component in COMPONENTS if not component.overlay
    }


def test_the_api_server_accepts_every_field(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    values = SCHEDULED.values | {
        "repair": "all",
        "networkPolicies": {"apiServers": ["10.0.0.0/8", "2001:db8::/32"]},
        "clientCertificates": {"enabled": True, "name": "kube-apiserver"},
        "chosenNamespaces": True,
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    made = list(yaml.safe_load_all(run_here("install", "-f", str(file), "--namespace", namespace).stdout))
    said = apply_strictly(control_plane, made, "--dry-run=server")
    assert said == []


# --- what is wrong is refused ------------------------------------------------------------------------------


def test_the_chart_passes_strict_lint(helm: Helm) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", str(CHART))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": ({"replicas": 3}, "replicas"),
    "an unknown key further in": ({"webhook": {"replica": 3}}, "replica"),
    "an unknown annotation": ({"settings": {"defaults": {"prot": "6000"}}}, "prot"),
    "an unknown annotation of a namespace": ({"settings": {"namespaces": {"a": {"x": "1"}}}}, "x"),
    "a list for a number": ({"webhook": {"replicas": [3]}}, "replicas"),
    "no replica": ({"controller": {"replicas": 0}}, "replicas"),
    "a digest that is none": ({"image": {"digest": "sha256:5"}}, "digest"),
    "an image with its tag in the repository's place": ({"image": {"repository": "a@b"}}, "repository"),
    "a word that is none of some": ({"repair": "some"}, "repair"),
    "a name for an address": ({"networkPolicies": {"apiServers": ["api.example"]}}, "apiServers"),
    "no authority": ({"certificates": {"source": "own"}}, "caBundle"),
    "an authority that is none": ({"certificates": {"source": "own", "caBundle": "LS0t"}}, "caBundle"),
    "no user": ({"settings": {"runAsUser": 0}}, "runAsUser"),
}


@pytest.mark.parametrize(("values", "named"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_by_name(
    values: dict[str, Any], named: str, helm: Helm, tmp_path: Path
) -> None:
    with pytest.raises(HelmError, match=named):
        by_helm(helm, values, tmp_path)
    done = run_here("install", "--values", str(tmp_path / "values.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


def test_the_chart_takes_every_command_of_the_pages(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = ("install.md", "monitoring.md", "upgrade.md")
    text, *others = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in pages)
    (values,) = re.findall(r"^```yaml\n# values.yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "values.yaml").write_text(values)
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.chdir(tmp_path)
    found = re.findall(
        r"^\$ helm (?:install|upgrade) injector manifests/chart (.*)$", "".join([text, *others]), re.MULTILINE
    )
    assert len(found) >= 8
    about_what_is_there = {"--wait", "--take-ownership", "--force-conflicts"}
    for options in found:
        given = [option for option in shlex.split(options) if option not in about_what_is_there]
        namespace = given[given.index("--namespace") + 1]
        assert helm.template(namespace, *given[2:]), options

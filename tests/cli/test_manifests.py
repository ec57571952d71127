"""inject, uninject, explain and resources, on files of the shapes that people and tools write.

`pytest tests/cli --update` writes what they print into cases/NAME.COMMAND; read the difference.
"""

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from hazelcast_sidecar.cli import main
from hazelcast_sidecar.names import PREFIX

CASES = Path(__file__).parent / "cases"
FILES = sorted(path.name for path in CASES.iterdir() if path.suffix in {".yaml", ".json"})
INJECTED = [name for name in FILES if name != "denied.yaml"]


@pytest.fixture(autouse=True)
def in_the_folder_of_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of files are part of what is printed."""
    monkeypatch.chdir(CASES)
    monkeypatch.setenv("COLUMNS", "200")


def golden(request: pytest.FixtureRequest, name: str, printed: str) -> None:
    path = CASES / name
    if request.config.getoption("--update"):
        path.write_text(printed, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == printed, f"{name}: see it with --update and git diff"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["inject", "explain", "resources"])
def test_what_is_printed(
    name: str, command: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([command, "-f", name])
    out, err = capsys.readouterr()
    assert status == (1 if name == "denied.yaml" else 0)
    said = "".join(f"# {line}\n" for line in err.splitlines())
    golden(request, f"{name}.{command}", f"{out}{said}")


@pytest.mark.parametrize("name", INJECTED)
def test_uninject_gives_the_very_bytes_back(name: str, tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copy(name, copy)
    assert main(["inject", "-f", str(copy), "--in-place"]) == 0
    assert copy.read_bytes() != Path(name).read_bytes()
    assert main(["uninject", "-f", str(copy), "--in-place"]) == 0
    assert copy.read_bytes() == Path(name).read_bytes()


@pytest.mark.parametrize("own", ["", "imagePullSecrets: [ ]   # none", "imagePullSecrets:\n  - name: mine"])
def test_uninject_takes_pull_secrets_out_to_the_byte(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, manifest = tmp_path / "settings.yaml", tmp_path / "pod.yaml"
    settings.write_text("imagePullSecrets: [{name: mirror}]")
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n"
        f"    sidecar.hazelcast.com/inject: 'true'\nspec:\n{indent(own, '  ')}\n"
        "  containers: [{name: app, image: shop:1}]\n"
    )
    manifest.write_text(text)
    given = ["-f", str(manifest), "--in-place"]
    assert main(["inject", *given, "--settings", str(settings)]) == 0
    names = [each["name"] for each in yaml.safe_load(manifest.read_text())["spec"]["imagePullSecrets"]]
    assert names == (["mine", "mirror"] if "mine" in own else ["mirror"])
    assert main(["uninject", *given]) == 0
    assert manifest.read_text() == text
    assert "imagePullSecrets" not in capsys.readouterr().err


@pytest.mark.parametrize("name", INJECTED)
def test_injecting_twice_changes_nothing(name: str, tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copy(name, copy)
    main(["inject", "-f", str(copy), "--in-place"])
    once = copy.read_bytes()
    main(["inject", "-f", str(copy), "--in-place"])
    assert copy.read_bytes() == once


def test_no_line_that_was_there_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["inject", "-f", "helm.yaml", "--diff"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["--- helm.yaml", "+++ helm.yaml"]
    assert [line for line in lines[2:] if line.startswith("-")] == []
    assert len([line for line in lines if line.startswith("+")]) > 50


def test_a_pipe_goes_in_and_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO(Path("helm.yaml").read_text()))
    assert main(["inject", "-f", "-"]) == 0
    injected = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", StringIO(injected))
    assert main(["uninject", "-f", "-"]) == 0
    assert capsys.readouterr().out == Path("helm.yaml").read_text()


def test_several_files_become_one_stream_and_any_form(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["kustomize.yaml", "api.json", "helm.yaml"]
    arguments = [part for name in names for part in ("-f", name)]
    kinds = ["ConfigMap", "StatefulSet", "DaemonSet", "ServiceAccount", "Service", "Deployment"]
    main(["inject", *arguments])
    stream = capsys.readouterr().out
    assert [document["kind"] for document in yaml.safe_load_all(stream)] == kinds
    main(["inject", *arguments, "-o", "json"])
    listed = json.loads(capsys.readouterr().out)
    assert (listed["apiVersion"], listed["kind"]) == ("v1", "List"), "kubectl takes no bare array"
    assert [document["kind"] for document in listed["items"]] == kinds
    main(["inject", *arguments, "-o", "table"])
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [
        ["StatefulSet/orders", "injected"],
        ["DaemonSet/agent", "injected"],
        ["Deployment/release-name-shop", "injected"],
    ]


def test_what_is_denied_is_left_out_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inject", "-f", "denied.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert main(["inject", "-f", "denied.yaml", "--keep-refused"]) == 1
    assert capsys.readouterr().out == Path("denied.yaml").read_text()
    assert 'sidecar.hazelcast.com/prot: no such annotation (did you mean "port"?)' in err


def test_settings_and_namespaces_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "defaults: {log-level: WARN}\nnamespaces: {team-a: {port: 6000}}\nrunAsUser: platform\n"
    )
    arguments = ["-f", "helm.yaml", "--settings", str(settings), "-n", "team-a"]
    main(["explain", *arguments, "-o", "json"])
    rows = {
        row["name"]: (row["value"], row["origin"])
        for row in json.loads(capsys.readouterr().out)[0]["settings"]
    }
    assert rows["log-level"] == ("WARN", "settings")
    assert rows["port"] == ("6000", "settings for namespace team-a")
    assert rows["inject"] == ("true", "Pod template")
    main(["inject", *arguments])
    assert "runAsUser: 65534" not in capsys.readouterr().out


def test_an_injected_file_is_explained_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "helm.yaml"
    shutil.copy("helm.yaml", copy)
    main(["explain", "-f", str(copy)])
    before = capsys.readouterr().out
    main(["inject", "-f", str(copy), "--in-place"])
    capsys.readouterr()
    main(["explain", "-f", str(copy)])
    assert capsys.readouterr().out == before


def test_the_resources_of_a_group_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--set", "discovery=api", "--set", "disruption-budget=true", "--service-account", "shop"]
    assert main(["resources", "--group", "shop", "-n", "team-a", *wanted, "-o", "json"]) == 0
    made = {each["kind"]: each for each in json.loads(capsys.readouterr().out)["items"]}
    assert list(made) == ["ClusterRole", "ConfigMap", "PodDisruptionBudget", "RoleBinding"]
    assert made["RoleBinding"]["roleRef"]["name"] == made["ClusterRole"]["metadata"]["name"]
    assert made["RoleBinding"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "shop", "namespace": "team-a"}
    ]
    assert main(["resources", "--group", "shop", "--set", "prot=1"]) == 1
    assert 'did you mean "port"' in capsys.readouterr().err


def test_a_request_that_is_not_met_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two workloads of one group: what binds the Pods of both is made where both ask."""
    given = {f"{PREFIX}inject": "true", f"{PREFIX}group": "shop", f"{PREFIX}network-policy": "true"}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}}
        | {"spec": {"containers": []}}
        for name, annotations in (("a", given), ("b", dict(list(given.items())[:2])))
    ]
    file = tmp_path / "pods.yaml"
    for count, kinds in ((1, ["ConfigMap", "Service", "NetworkPolicy"]), (2, ["ConfigMap", "Service"])):
        file.write_text("\n---\n".join(map(json.dumps, pods[:count])))
        assert main(["resources", "-f", str(file), "-o", "json"]) == 0
        said = capsys.readouterr()
        assert [each["kind"] for each in json.loads(said.out)["items"]] == kinds
        assert ("the group shop in default gets no NetworkPolicy: Pod/b in the same group" in said.err) == (
            count == 2
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inject"], "FILE: name files or folders of manifests"),
        (["explain", "a", "b"], 'target: neither "a" nor "b" is a file'),
        (["inject", "-f", "-", "--in-place"], "--in-place: standard input is not a file"),
        (["resources", "--group", "a", "--set", "port"], '--set: "port" is not NAME=VALUE'),
    ],
)
def test_misuse_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"hazelcast-sidecar {arguments[0]}: {sentence}")


def test_a_command_starts_without_what_only_servers_need() -> None:
    """Half of a start was the import of an HTTP server that nothing used."""
    commands = ["inject", "uninject", "explain", "resources", "policy", "check"]
    program = f"""
import sys
from hazelcast_sidecar.cli import parser
for command in {commands}:
    parser([command])
    print(command, *({{"aiohttp", "prometheus_client", "uvloop", "kubernetes"}} & {{*sys.modules}}))
"""
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line.strip() for line in started.stdout.splitlines()] == commands

"""Manifests of shapes that people and tools write: what inject makes of each, and that it comes out again."""

import subprocess
from pathlib import Path

import pytest

from hazelcast_sidecar.cli import main
from hazelcast_sidecar.injection.manifests import status_in
from hazelcast_sidecar.manifest_text.document import Document, parts

SHAPES = Path(__file__).parent / "shapes"

INJECTED = [
    "comment-at-the-end.yaml",
    "deployment-without-final-line-break.yaml",
    "document-end.yaml",
    "empty-lists.yaml",
    "empty-values-with-anchors.yaml",
    "guaranteed.yaml",
    "helm-create.yaml",
    "host-network-yes.yaml",
    "indentation-that-changes.yaml",
    "java-options-xmx.yaml",
    "lists-of-two-indentations.yaml",
    "name-like-a-number.yaml",
    "null-service-account.yaml",
    "octal-mode-and-words.yaml",
    "pod-without-final-line-break.yaml",
    "pods-of-other-controllers.yaml",
    "tabs.json",
    "timestamps.yaml",
    "windows-line-breaks.yaml",
]
"""Those that are no more than a Pod or a workload, in an odd style."""

UNCHANGED = {
    "cron-job-annotated-jobs.yaml": "set it on the CronJob itself",
    "delete-patch.yaml": "",
    "mirror-pod.yaml": "this is the mirror Pod of a static Pod",
    "no-metadata.yaml": "",
    "rollout.yaml": "1: Rollout/pay: this kind is not changed in manifests; the webhook injects its Pods",
}
REFUSED = {
    "container-by-merge-key.yaml": "is used in other places by the anchor &base; write it out there",
    "cron-job-without-group.yaml": "sidecar.hazelcast.com/group: is not set",
    "dns-none.yaml": "spec.dnsConfig.searches: is empty",
    "helm-template-not-rendered.yaml": ":4: cannot be read: a collection cannot be a key; is it a template",
    "job-generate-name.yaml": "sidecar.hazelcast.com/group: is not set: the webhook names the group after",
    "labels-by-alias.yaml": "spec.template.metadata.labels: is the alias *labels; write it out there",
    "mistake-in-the-second-document.yaml": ":10: cannot be read: did not find expected key",
    "template-in-a-condition.yaml": "flow node; is it a template that has not been rendered?",
    "template-of-one-name.yaml": ":4: cannot be read: a collection cannot be a key; is it a template",
    "windows-pods.yaml": "spec.nodeSelector: is windows",
}
BY_THEMSELVES = {"injected-and-edited.yaml", "member-without-restart-policy.yaml"}


@pytest.fixture(autouse=True)
def in_the_folder_of_the_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SHAPES)


def test_every_shape_has_its_outcome() -> None:
    assert {path.name for path in SHAPES.iterdir()} == {*INJECTED, *UNCHANGED, *REFUSED, *BY_THEMSELVES}


@pytest.mark.parametrize("name", INJECTED)
def test_it_is_injected_and_comes_out_again_to_the_byte(name: str, tmp_path: Path) -> None:
    before = Path(name).read_bytes()
    copy = tmp_path / name
    copy.write_bytes(before)
    assert main(["inject", str(copy), "--in-place"]) == 0
    injected = copy.read_bytes()
    if name.endswith(".yaml"):  # in JSON a line gets a comma
        lines = iter(injected.splitlines())
        without_brackets = [line for line in before.splitlines() if b"[" not in line and b"{" not in line]
        assert all(line in lines for line in without_brackets), "in their order"
    objects = [Document(*part).content for part in parts(injected.decode())]
    assert all(status_in(obj) is not None for obj in objects)
    assert main(["inject", str(copy), "--in-place"]) == 0
    assert copy.read_bytes() == injected
    assert main(["uninject", str(copy), "--in-place"]) == 0
    assert copy.read_bytes() == before


@pytest.mark.parametrize(("name", "sentence"), UNCHANGED.items(), ids=UNCHANGED)
def test_it_is_not_changed_and_no_failure(
    name: str, sentence: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["inject", name]) == 0
    out, err = capfdbinary.readouterr()
    assert out == Path(name).read_bytes()
    assert sentence in err.decode()
    assert sentence or len(err.splitlines()) == 1, "the summary alone"


@pytest.mark.parametrize(("name", "sentence"), REFUSED.items(), ids=REFUSED)
def test_it_is_refused_with_a_sentence_and_left_out(
    name: str, sentence: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = Path(name).read_bytes()
    assert main(["inject", name]) == 1
    out, err = capfdbinary.readouterr()
    assert sentence in err.decode()
    assert b"Traceback" not in err
    assert out != before
    assert main(["inject", name, "--diff"]) == 1
    assert main(["inject", name, "--keep-refused"]) == 1
    assert Path(name).read_bytes() == before


def test_selectors_of_an_aliased_mapping_never_change(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    main(["inject", "labels-by-alias.yaml", "--keep-refused"])
    assert capfdbinary.readouterr().out == Path("labels-by-alias.yaml").read_bytes()


def test_what_was_injected_and_edited_is_injected_from_what_was_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["inject", "injected-and-edited.yaml"]) == 0
    out, err = capsys.readouterr()
    assert err.endswith("1 injected\n")
    template = Document(out).content["spec"]["template"]
    (member,) = template["spec"]["initContainers"]
    assert member["resources"]["limits"]["memory"] == "2Gi"
    assert template["metadata"]["labels"]["sidecar.hazelcast.com/group"] == "till"
    assert main(["resources", "injected-and-edited.yaml", "-o", "table"]) == 0
    assert "hazelcast-till" in capsys.readouterr().out
    assert main(["explain", "injected-and-edited.yaml"]) == 0
    assert "memory-limit  2Gi" in capsys.readouterr().out


def test_what_another_tool_removed_of_a_member_is_put_back(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    before = Path("member-without-restart-policy.yaml").read_bytes()
    assert main(["inject", "member-without-restart-policy.yaml"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.replace(b"    restartPolicy: Always\n", b"", 1) == before
    assert err.endswith(b"which are restored: restartPolicy\n1 restored\n")


def test_texts_that_kubectl_takes_for_numbers_are_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inject", "octal-mode-and-words.yaml", "-o", "yaml"]) == 0
    out = capsys.readouterr().out
    for line in ("commit: '25921e05'", "value: 'y'", "value: '1e3'", "defaultMode: 256", "readOnly: true"):
        assert line in out
    assert main(["inject", "name-like-a-number.yaml"]) == 0
    assert 'sidecar.hazelcast.com/group: "7e2"' in capsys.readouterr().out


def test_git_finds_only_added_lines(tmp_path: Path) -> None:
    copy = tmp_path / "helm-create.yaml"
    copy.write_bytes(Path("helm-create.yaml").read_bytes())
    main(["inject", str(copy), "--in-place"])
    command = ["git", "diff", "--no-index", "--numstat", "helm-create.yaml", str(copy)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert shown.split()[1] == "0"

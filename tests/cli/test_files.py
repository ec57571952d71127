"""Which files are read and written: folders, links, modes, a full disk, a broken file among good ones."""

import errno
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hazelcast_sidecar.cli import main

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  annotations:
    sidecar.hazelcast.com/inject: "true"
spec:
  containers:
  - name: a
    image: x:1
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pods(*names: str) -> list[Path]:
    paths = [Path(f"{name}.yaml") for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(POD.format(name=path.stem))
    return paths


def test_files_are_arguments_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    pods("a", "b")
    assert main(["inject", "a.yaml", "-f", "b.yaml"]) == 0
    assert capsys.readouterr().err == "2 injected\n"
    assert main(["explain", "a.yaml", "b.yaml", "-o", "json"]) == 0
    assert [each["object"] for each in json.loads(capsys.readouterr().out)] == ["Pod/a", "Pod/b"]
    assert main(["explain", "a.yaml", "-o", "json"]) == 0
    assert [each["object"] for each in json.loads(capsys.readouterr().out)] == ["Pod/a"]


def test_folders_are_read_by_themselves_or_with_what_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    pods("top", "in/a", "in/deep/b")
    assert main(["inject", "in"]) == 0
    assert capsys.readouterr().err == "1 injected\n"
    assert main(["inject", "-R", "."]) == 0
    assert capsys.readouterr().err == "3 injected\n"


def test_an_empty_folder_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("none").mkdir()
    assert main(["inject", "none"]) == 1
    assert capsys.readouterr().err.startswith("none: has no manifest (*.yaml, *.yml, *.json); -R also reads")


def test_one_bad_file_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    pods("a", "c")
    Path("b.yaml").write_text("a: [\n")
    Path("d.yaml").write_bytes(b"a: 1\nb: \xff\n")
    assert main(["inject", "a.yaml", "b.yaml", "c.yaml", "d.yaml", "none.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out.count("initContainers") == 2
    assert re.search(r"^b\.yaml:2: cannot be read: ", err, re.MULTILINE)
    assert "d.yaml:2: cannot be read: it is not UTF-8" in err
    assert "none.yaml: cannot be read: No such file or directory" in err
    assert err.endswith("2 injected\n")


def test_the_summary_counts_every_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    pods("a", "b", "c")
    Path("b.yaml").write_text(POD.format(name="b").replace("inject:", "injekt:"))
    Path("c.yaml").write_text(POD.format(name="c").replace("name: a", "name: hazelcast"))
    assert main(["inject", "a.yaml", "b.yaml", "c.yaml"]) == 1
    assert capsys.readouterr().err.endswith("1 injected, 1 refused, 1 unchanged\n")


def test_a_refused_element_of_a_list_is_left_out_alone(capsys: pytest.CaptureFixture[str]) -> None:
    items = "".join("- " + POD.format(name=name).replace("\n", "\n  ").rstrip(" ") for name in "abc")
    text = f"apiVersion: v1\nkind: List\nitems:\n{items}# end\n"
    head, _, tail = text.partition("name: b")
    Path("list.yaml").write_text(f"{head}name: b{tail.replace('true', 'maybe', 1)}")
    assert main(["inject", "list.yaml"]) == 1
    out, err = capsys.readouterr()
    assert "list.yaml:14: Pod/b: " in err
    assert "name: b" not in out
    assert out.count("initContainers") == 2
    assert out.endswith("# end\n")


# --- in place ----------------------------------------------------------------------------------------------


def test_mode_and_symbolic_links_stay(capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = pods("real")
    path.chmod(0o640)
    Path("link.yaml").symlink_to(path)
    assert main(["inject", "--in-place", "link.yaml"]) == 0
    assert Path("link.yaml").is_symlink()
    assert "initContainers" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(map(str, Path().iterdir())) == ["link.yaml", "real.yaml"]
    assert "hard links" not in capsys.readouterr().err


def test_other_names_of_a_file_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = pods("one")
    before = path.read_text()
    Path("other").hardlink_to(path)
    assert main(["inject", "--in-place", "one.yaml"]) == 0
    assert "had 2 names (hard links); the others keep the old text" in capsys.readouterr().err
    assert Path("other").read_text() == before


def test_a_full_disk_leaves_every_file_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = pods("a", "b", "c")
    before = [path.read_text() for path in paths]
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(["inject", "--in-place", *map(str, paths)]) == 1
    assert "No space left on device; no file was changed" in capsys.readouterr().err
    assert [path.read_text() for path in paths] == before
    assert sorted(map(str, Path().iterdir())) == ["a.yaml", "b.yaml", "c.yaml"]


# --- what the webhook made ---------------------------------------------------------------------------------


def test_what_the_webhooks_record_does_not_tell_stays_and_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = json.dumps(
        {"version": "0.1.0", "group": "a", "cluster": "dev", "image": "x", "discovery": "dns", "port": 5701}
    )
    text = POD.format(name="a").replace(
        '"true"\n', f"\"true\"\n    sidecar.hazelcast.com/status: '{status}'\n"
    )
    text += "    env:\n    - {name: HAZELCAST_ADDRESS, value: '127.0.0.1:5701'}\n"
    text += "  initContainers:\n  - name: hazelcast\n    image: x\n"
    text += "    volumeMounts:\n    - {name: hazelcast-config, mountPath: /x}\n"
    Path("pod.yaml").write_text(text)
    assert main(["uninject", "pod.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "HAZELCAST_ADDRESS" in out
    assert "initContainers" not in out
    assert "whose status annotation does not say what was there before: HAZELCAST_ADDRESS, term" in err


# --- what a file system and a shell can do -----------------------------------------------------------------


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hazelcast_sidecar.cli", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)


@pytest.mark.heavy
@pytest.mark.parametrize("command", [["inject"], ["inject", "-o", "json"], ["explain"], ["resources"]])
def test_an_output_that_takes_nothing_is_one_sentence(command: list[str]) -> None:
    pods("a")
    for redirection, why in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        shell = f'"$@" {redirection}'
        done = subprocess.run(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "hazelcast_sidecar.cli", *command, "a.yaml"],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert f"{command[0]}: the output cannot be written: {why}\n" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.heavy
def test_a_standard_input_that_is_closed_is_one_sentence() -> None:
    done = run("inject", "-", stdout=subprocess.PIPE, preexec_fn=lambda: os.close(0))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "standard input: cannot be read: it is closed"


@pytest.mark.parametrize("command", ["inject", "uninject", "explain", "resources"])
def test_a_name_that_no_file_can_have_is_one_sentence(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, f"{'a' * 300}.yaml"]) == 1
    assert "cannot be read: File name too long" in capsys.readouterr().err
    assert main([command, ""]) == 2
    assert "FILE: is empty; name a file or a folder" in capsys.readouterr().err


def test_a_folder_that_may_not_be_entered_is_one_sentence_and_the_others_are_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the system's calls, as tests run by the root user may enter every folder."""
    pods("all/open/a", "all/shut/b")
    scandir = os.scandir

    def shut(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", shut)
    assert main(["inject", "-R", "all"]) == 1
    out, err = capsys.readouterr()
    assert "all/shut: cannot be read: Permission denied\n" in err
    assert "name: a" in out
    assert err.endswith("1 injected\n")


@pytest.mark.parametrize("has_links", [True, False])
def test_files_are_renamed_all_or_none(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    has_links: bool,  # noqa: FBT001
) -> None:
    """Such as where one of them is a mount point of a container, on any file system."""

    def no_links(_: Path, __: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    paths = pods("a", "b", "c")
    before = [path.read_text() for path in paths]
    real = Path.replace

    def replace(new: Path, path: Path) -> Path:
        if path.name == "b.yaml":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(new), None, str(path))
        return real(new, path)

    monkeypatch.setattr(Path, "replace", replace)
    assert main(["inject", "--in-place", *map(str, paths)]) == 1
    assert capsys.readouterr().err.endswith(
        "b.yaml: cannot be written: Device or resource busy; no file was changed\n"
    )
    assert [path.read_text() for path in paths] == before
    assert sorted(map(str, Path().iterdir())) == ["a.yaml", "b.yaml", "c.yaml"]


@pytest.mark.parametrize("name", ["my pod.yaml", 'a"b.yaml', "a\tb.yaml", "ä.yaml"])
def test_a_difference_is_a_patch_whatever_the_file_is_called(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = POD.format(name="a")
    Path(name).write_text(before)
    assert main(["inject", "--diff", name]) == 0
    diff = capsys.readouterr().out
    subprocess.run(["patch", "-p0"], input=diff, text=True, check=True, stdout=subprocess.DEVNULL)
    assert "initContainers" in Path(name).read_text()
    Path(name).write_text(before)
    assert main(["inject", "--in-place", name]) == 0
    assert "initContainers" in Path(name).read_text()
    assert main(["uninject", "--in-place", name]) == 0
    assert Path(name).read_text() == before


@pytest.mark.heavy
def test_a_name_in_no_encoding_is_printed_as_it_is() -> None:
    name = os.fsdecode(b"\xff.yaml")
    Path(name).write_text(POD.format(name="a"))
    done = run("inject", "--diff", name, stdout=subprocess.PIPE, errors="surrogateescape")
    assert done.returncode == 0
    assert done.stdout.startswith(f"--- {name}\n+++ {name}\n")


# --- streams -----------------------------------------------------------------------------------------------


def test_a_byte_order_mark_behind_the_line_that_begins_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    """As files of Windows have it that were put one behind the other."""
    Path("two.yaml").write_text(f"{POD.format(name='a')}---\n\ufeff{POD.format(name='b')}")
    before = Path("two.yaml").read_text()
    assert main(["inject", "--in-place", "two.yaml"]) == 0
    assert capsys.readouterr().err == "2 injected\n"
    assert main(["uninject", "--in-place", "two.yaml"]) == 0
    assert Path("two.yaml").read_text() == before


def test_a_byte_order_mark_begins_a_stream_and_no_document_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    pods("a")
    Path("marked.yaml").write_text(f"\ufeff{POD.format(name='b')}")
    assert main(["inject", "a.yaml", "marked.yaml"]) == 0
    assert "\ufeff" not in capsys.readouterr().out


def test_a_namespace_that_is_null_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(POD.format(name="a\n  namespace:"))
    assert main(["resources", "a.yaml", "-n", "team-a"]) == 0
    assert "namespace: None" not in (out := capsys.readouterr().out)
    assert "namespace: team-a" in out


def test_nothing_is_a_list_of_nothing_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.yaml").write_text("")
    assert main(["inject", "empty.yaml", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"apiVersion": "v1", "kind": "List", "items": []}


def test_templates_in_lists_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    pod = {"metadata": {"annotations": {"sidecar.hazelcast.com/inject": "true"}}, "spec": {"containers": []}}
    job = {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1", "metadata": {"name": "a"}}
    Path("a.json").write_text(json.dumps({**job, "spec": {"tasks": [{"template": pod}]}}))
    assert main(["inject", "a.json"]) == 0
    assert (
        "the webhook injects its Pods, as spec.tasks[0].template.metadata.annotations asks for it"
        in capsys.readouterr().err
    )


def test_an_error_of_something_else_is_not_said_to_be_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> int:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr("hazelcast_sidecar.cli.policy_command.run", run)
    with pytest.raises(OSError, match="Address already in use"):
        main(["policy"])

"""A release: the same files from the same commit, and none of a work tree that is not one."""

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.version import __version__
from release.commit import VERSION_FILE

pytestmark = pytest.mark.heavy

IMAGES = ("injector", "demo", "member")
CHOSEN = "registry.example/team"


def git(checkout: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    return subprocess.run(
        ["git", *identity, *words], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def clone(checkout: Path, tmp_path: Path) -> Path:
    """The files of the checkout as they are now, committed in a repository of their own."""
    return cloned(checkout, tmp_path / "clone")


def cloned(checkout: Path, folder: Path) -> Path:
    folder.mkdir()
    listed = git(checkout, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    files = [name for name in listed if name and (checkout / name).is_file()]
    names = "\0".join(files).encode()
    pack = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"],
        cwd=checkout,
        input=names,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "--extract"], cwd=folder, input=pack.stdout, check=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--date=2026-01-02T03:04:05Z", "--message=All")
    return folder


def release(clone: Path, *, into: Path, fails: bool = False) -> str:
    """Run it by the code of the clone, and return what it said."""
    sbom = into.with_suffix(".sbom")
    sbom.write_text("{}\n", encoding="utf-8")
    words = [f"--checkout={clone}", f"--into={into}", f"--sbom={sbom}"]
    done = subprocess.run(
        [sys.executable, "-m", "release", *words], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if fails else 0), done.stderr
    return done.stderr if fails else done.stdout


def choose_a_registry(clone: Path) -> None:
    file = clone / "pyproject.toml"
    file.write_text(file.read_text("utf-8").replace('registry = ""', f'registry = "{CHOSEN}"'), "utf-8")
    git(clone, "commit", "--quiet", "--all", "--message=A registry")


@pytest.mark.slow
def test_a_commit_gives_the_same_files_in_any_folder(clone: Path, tmp_path: Path) -> None:
    """Another checkout of the same commit, with files of another time."""
    other = tmp_path / "elsewhere" / "other"
    git(tmp_path, "clone", "--quiet", str(clone), str(other))
    said = release(clone, into=tmp_path / "first")
    release(other, into=tmp_path / "second")
    sums = (tmp_path / "first" / "SHA256SUMS").read_text("utf-8")
    assert (tmp_path / "second" / "SHA256SUMS").read_text("utf-8") == sums
    for line in sums.splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "first" / name).read_bytes()).hexdigest() == digest
    made = {path.name for path in (tmp_path / "first").iterdir()}
    assert made == {
        "SHA256SUMS",
        f"hazelcast-sidecar-injector-{__version__}.tgz",
        f"hazelcast_sidecar_injector-{__version__}-py3-none-any.whl",
        f"hazelcast_sidecar_injector-{__version__}.tar.gz",
        *(f"hazelcast-sidecar-{image}-{__version__}-context.tar.gz" for image in IMAGES),
        "images.sh",
        "install.yaml",
        "sbom.cdx.json",
    }
    for left in ("Images are not built here", "No tag", "No registry", "No license"):
        assert left in said


def test_one_place_names_the_registry(clone: Path, tmp_path: Path) -> None:
    choose_a_registry(clone)
    folder = tmp_path / "made"
    assert "No registry" not in release(clone, into=folder)
    image = f"{CHOSEN}/hazelcast-sidecar-injector"
    installed = list(yaml.safe_load_all((folder / "install.yaml").read_text("utf-8")))
    used = [
        container["image"]
        for each in installed
        if each["kind"] == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
    ]
    assert used == [f"{image}:{__version__}"] * 2
    with tarfile.open(folder / f"hazelcast-sidecar-injector-{__version__}.tgz") as chart:
        values = chart.extractfile("hazelcast-sidecar-injector/values.yaml")
        assert values is not None
        assert yaml.safe_load(values)["image"]["repository"] == image
    assert f"registry=${{REGISTRY:-{CHOSEN}}}" in (folder / "images.sh").read_text("utf-8")


def test_a_recipe_has_all_that_its_image_is_built_from(clone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    release(clone, into=folder)
    for image in IMAGES:
        with tarfile.open(folder / f"hazelcast-sidecar-{image}-{__version__}-context.tar.gz") as context:
            names = context.getnames()
            dockerfile = context.extractfile("Dockerfile")
            assert dockerfile is not None
            copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read().decode(), re.MULTILINE)
        sources = [source for line in copied for source in line.split()]
        assert sources
        for source in sources:
            assert any(name == source or name.startswith(f"{source}/") for name in names), (image, source)
    script = folder / "images.sh"
    unnamed = subprocess.run(
        ["sh", script], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert unnamed.returncode == 2
    assert "set REGISTRY" in unnamed.stderr


def test_a_folder_of_other_files_is_left_alone(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").touch()
    assert "holds files that are no release" in release(clone, into=tmp_path / "made", fails=True)
    assert (tmp_path / "made" / "mine").exists()


def change_a_file(clone: Path) -> None:
    (clone / "README.md").write_text("changed\n", "utf-8")


def add_a_file(clone: Path) -> None:
    (clone / "webhook" / "secret.py").touch()


def tag_another_version(clone: Path) -> None:
    git(clone, "tag", "v99.0.0")


def tag_another_commit(clone: Path) -> None:
    git(clone, "tag", f"v{__version__}")
    git(clone, "commit", "--quiet", "--allow-empty", "--message=More")


def tag_what_is_unreleased(clone: Path) -> None:
    git(clone, "tag", f"v{__version__}")


def raise_the_version(clone: Path) -> None:
    (clone / VERSION_FILE).write_text('__version__ = "99.0.0"\n', "utf-8")
    git(clone, "commit", "--quiet", "--all", "--message=Raised")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (change_a_file, "1 files are not as committed (README.md): commit or remove them"),
        (add_a_file, "not as committed (webhook/secret.py)"),
        (tag_another_version, f"has the tag v99.0.0 and the version {__version__}: change {VERSION_FILE}"),
        (tag_another_commit, f"the tag v{__version__} is on another commit: raise the version"),
        (tag_what_is_unreleased, f"CHANGELOG.md calls {__version__} unreleased"),
        (raise_the_version, "CHANGELOG.md must begin with a section of 99.0.0"),
    ],
)
def test_what_is_no_release_is_refused_with_a_sentence(
    clone: Path, tmp_path: Path, spoil: Any, sentence: str
) -> None:
    spoil(clone)
    assert sentence in release(clone, into=tmp_path / "made", fails=True)
    assert not (tmp_path / "made").exists()


TAGGED = re.compile(r"(hazelcast-sidecar-(?:injector|demo|member):|\"version\":\")(\d+\.\d+\.\d+)")
WITH_TAGS = (
    "README.md",
    "docs/*.md",
    "manifests/base/*.yaml",
    "manifests/demo/*.yaml",
    "webhook/**/*_command.py",
)


def test_files_that_repeat_the_version_agree_with_the_code(
    checkout: Path, request: pytest.FixtureRequest
) -> None:
    """They are for people to copy from, or for kubectl to read as they are; the version is in version.py."""
    paths = [path for pattern in WITH_TAGS for path in checkout.glob(pattern)]
    found = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        wanted, count = TAGGED.subn(rf"\g<1>{__version__}", text)
        found += count
        if request.config.getoption("--update"):
            path.write_text(wanted, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == wanted, (
            f"{path} names another version than {VERSION_FILE}: write it with --update"
        )
    assert found > 10

"""`make release`: all files of a release in dist/, of the commit that is checked out.

The same commit gives the same files, byte by byte. Nothing is published.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from release.artifacts import BuildError, Choices, choices, make_all
from release.commit import Commit, RefusalError, committed, export

CHECKOUT = Path(__file__).parents[1]


def main() -> int:
    """Make them; 1 where the work tree cannot be released, or a part not made."""
    options = _options()
    try:
        _check_is_ours(options.into)
        commit = committed(options.checkout)
        with tempfile.TemporaryDirectory() as folder:
            source, made = Path(folder) / "source", Path(folder) / "made"
            made.mkdir()
            export(options.checkout, source)
            make_all(source, commit, options.sbom, made)
            chosen = choices(source)
            shutil.rmtree(options.into, ignore_errors=True)
            shutil.copytree(made, options.into)
    except (RefusalError, BuildError) as error:
        sys.stderr.write(f"make release: {error}\n")
        return 1
    _say(f"Version {commit.version}, commit {commit.name}, in {options.into}:")
    for path in sorted(options.into.iterdir()):
        _say(f"  {path.stat().st_size:>9,}  {path.name}")
    for line in _left_to_do(commit, chosen):
        _say(line)
    return 0


def _check_is_ours(folder: Path) -> None:
    """Refuse to replace a folder that holds something else."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "SHA256SUMS").exists():
        raise RefusalError(
            f"{folder} holds files that are no release: remove it, or name another with --into"
        )


def _left_to_do(commit: Commit, chosen: Choices) -> Iterator[str]:
    yield "Images are not built here: images.sh builds and pushes them where Docker is, for amd64 and arm64."
    if not commit.is_tagged:
        yield f"No tag is on this commit: git tag v{commit.version}"
    if not chosen.registry:
        yield "No registry is chosen (pyproject.toml, tool.release.registry): images are named without one."
    if not chosen.license:
        yield "No license is chosen (pyproject.toml, project.license, and a file LICENSE)."


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m release", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="what is released (%(default)s)")
    parser.add_argument("--into", type=Path, default=Path("dist"), help="replaced by the files (%(default)s)")
    parser.add_argument("--sbom", type=Path, required=True, help="list of packages, by make sbom")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

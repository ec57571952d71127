"""The versions of Kubernetes and of Python, and the tests that are run with each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.harness.control_plane import build_programs
from tests.harness.go_programs import required_version
from tests.matrix.outcome import ROOT, Outcome, run

KUBERNETES = ("1.30", "1.33", "1.35", "1.36", "1.37")
PYTHON = ("3.11", "3.12", "3.13", "3.14")
VERSIONS = {"Kubernetes": KUBERNETES, "Python": PYTHON}

_BRIEF = ("admission", "workloads", "lockout", "reinvocation", "rights", "admission_policy")
_MORE = (
    "audit_selection",
    "check",
    "client_certificate",
    "events",
    "explain",
    "generated_pods",
    "group_objects",
    "installed_and_uninstalled",
    "leadership",
    "manifests_by_kubectl",
    "monitoring_component",
    "ownership",
    "service_account",
    "threats",
)
"""What depends on the API server: what it validates, compiles, defaults, merges and refuses, and its kubectl.
The others of tests/apiserver are about loads, faults and clocks, for which one release does."""
_QUICK = (
    "-m",
    "not slow and not heavy",
    "--hypothesis-profile=quick",
    "tests/unit",
    "tests/golden",
    "tests/cli",
)


class MissingError(Exception):
    """A version cannot be had on this machine: why, and what to do."""


def pinned(release: str) -> str:
    """Return the version of a release of Kubernetes that is built: 1.30.14 of 1.30."""
    return required_version(f"kubernetes-{release}", "k8s.io/kubernetes").removeprefix("v")


def on_kubernetes(release: str, announce: Callable[[str], None], *, short: bool) -> tuple[str, Outcome]:
    """Run tests against the API server of a release; its version, and what came of it.

    Args:
        release: such as 1.30.
        announce: takes one line at a time about a build.
        short: some of the tests, which tell most.
    """
    programs = build_programs(release, announce)
    names = _BRIEF if short else (*_BRIEF, *_MORE)
    files = [f"tests/apiserver/test_{name}.py" for name in names]
    environment = os.environ | {"KUBEBUILDER_ASSETS": str(programs)}
    return pinned(release), run(Path(sys.executable), ["-n", "3", *files], environment)


def on_python(release: str) -> tuple[str, Outcome]:
    """Run the tests of the inner loop on a release of Python; its version, and what came of it.

    Raises:
        MissingError: there is no such Python.
    """
    folder = ROOT / "build" / "matrix" / f"python-{release}"
    python = folder / "bin" / "python"
    _uv("venv", "--clear", f"--python={_interpreter(release)}", str(folder))
    install = ("pip", "install", f"--python={python}")
    _uv(*install, "--require-hashes", f"--requirement={ROOT / 'requirements' / 'dev.lock'}")
    _uv(*install, "--no-deps", "--no-build-isolation", f"--editable={ROOT}")
    version = _said_by(python)
    # Byte code of several Pythons lies side by side; the project's own is found through the environment.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = os.pathsep.join((str(folder / "bin"), environment["PATH"]))
    return version, run(python, ["-n", "2", *_QUICK], environment | {"PATH": path})


def _interpreter(release: str) -> str:
    """Name a Python that runs: on PATH, of pyenv, or what uv finds or fetches by the number."""
    return next((str(path) for path in _candidates(release) if _said_by(path)), release)


def _candidates(release: str) -> Iterator[Path]:
    if found := shutil.which(f"python{release}"):
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(pyenv.glob(f"{release}.*/bin/python"))


def _said_by(python: Path) -> str:
    """Return the version of a Python; empty where it does not run, as a shim of pyenv may not."""
    program = "import platform; print(platform.python_version())"
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _uv(*words: str) -> None:
    command: Sequence[str] = (str(ROOT / ".venv" / "bin" / "uv"), "--quiet", *words)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        advice = "have that Python on PATH, as python3.14, or in pyenv"
        raise MissingError(f"uv {words[0]} failed: {done.stderr.strip()}\n{advice}")

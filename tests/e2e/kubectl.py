"""The cluster as a person at a terminal has it: through kubectl, in the words that kubectl prints."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Seen = TypeVar("Seen")

MEMBERS = re.compile(r"Members \{size:(\d+)")


class KubectlError(Exception):
    """A command that failed, with what it said."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl in one namespace of the cluster that KUBECONFIG names."""

    namespace: str

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            KubectlError: it failed or took longer than `seconds`.
        """
        command = ["kubectl", f"--namespace={self.namespace}", *arguments]
        try:
            # Without input it gets an empty one, not the terminal's: kubectl must never wait for a person.
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=seconds, input=stdin or ""
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"{' '.join(command)}: not done after {seconds:g} s") from error
        if done.returncode:
            raise KubectlError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """`kubectl get` as objects."""
        return json.loads(self("get", *arguments, "--output=json"))

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Apply objects; a misspelt field is an error."""
        self("apply", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(documents))

    def dry_run(self, document: Mapping[str, Any]) -> str:
        """Create an object without storing it; what would be stored, as JSON."""
        options = ("--dry-run=server", "--output=json", "--filename=-")
        return self("create", *options, stdin=yaml.safe_dump(document), seconds=20)

    def pods(self, selector: str) -> list[str]:
        """Names of the Pods that are there to stay, the oldest first."""
        found = self.read("pods", f"--selector={selector}")["items"]
        staying = [pod["metadata"] for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [m["name"] for m in sorted(staying, key=lambda m: (m["creationTimestamp"], m["name"]))]

    def ready(self, selector: str) -> str:
        """The NAME and READY columns that `kubectl get pods` shows, one Pod a line."""
        table = self("get", "pods", f"--selector={selector}", "--no-headers")
        return "\n".join(" ".join(line.split()[:2]) for line in table.splitlines())

    def pods_ready(self, *names: str) -> None:
        """Wait until Pods are ready."""
        pods = [f"pod/{name}" for name in names]
        self("wait", *pods, "--for=condition=Ready", "--timeout=60s", seconds=70)

    def rolled_out(self, workload: str, seconds: float = 180) -> None:
        """Wait until every replica of a workload is new and available."""
        self("rollout", "status", workload, f"--timeout={seconds:g}s", seconds=seconds + 10)

    def member_count(self, pod: str, container: str) -> int:
        """The size of the cluster in the last member list that a container logged; 0 before the first."""
        sizes = MEMBERS.findall(self("logs", pod, f"--container={container}"))
        return int(sizes[-1]) if sizes else 0


@contextlib.contextmanager
def running_kubectl(*arguments: str, announces: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """A kubectl that runs for as long as the context lasts; what its first line says.

    Raises:
        OSError: it says something else.
    """
    with subprocess.Popen(
        ["kubectl", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            first = running.stdout.readline() if running.stdout else ""
            match = announces.search(first)
            if not match:
                raise OSError(f"kubectl {arguments[0]}: {first.strip()}")
            yield match
        finally:
            running.terminate()


def until(seconds: float, what: str, seen: Callable[[], Seen | None]) -> Seen:
    """Ask again and again until the answer is true; errors of kubectl count as 'not yet'.

    Raises:
        AssertionError: it was not in time; the message carries the last answer.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            answer: Any = seen()
        except KubectlError as error:
            answer, shown = None, str(error)
        else:
            shown = repr(answer)
        if answer:
            return answer  # type: ignore[no-any-return]
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {shown})")
        time.sleep(0.5)


def agree_on(kubectl: Kubectl, selector: str, container: str, size: int, seconds: float = 120) -> list[str]:
    """Wait until `size` Pods are there and the last member list of each has `size` members; their names."""

    def counted() -> list[str] | None:
        pods = kubectl.pods(selector)
        counts = [kubectl.member_count(pod, container) for pod in pods]
        return pods if counts == [size] * size else None

    return until(seconds, f"{size} Pods ({selector}), each of whose {container} logs {size} members", counted)


def container_statuses(pod: Any) -> list[Any]:
    """What the kubelet tells of each container of a Pod, of whichever kind; nothing in the beginning."""
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def find(documents: Iterable[Mapping[str, Any]], kind: str, name: str) -> Any:
    """The object of that kind and name."""
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)

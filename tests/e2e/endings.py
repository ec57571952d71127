"""How the containers of Pods end: what the kubelet tells of each before its Pod is gone."""

from __future__ import annotations

import json
import subprocess
import tempfile
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.e2e.kubectl import container_statuses

if TYPE_CHECKING:
    from types import TracebackType

    from tests.e2e.kubectl import Kubectl

SIGKILL = 137
"""The exit code of a container whose program was killed."""


class Ending(NamedTuple):
    """The end of one Pod; seconds after it was asked to end, whole ones, as Kubernetes has them."""

    pod: str
    application: int
    member: int
    code: int
    """The member's exit code."""

    def __str__(self) -> str:
        return (
            f"{self.pod}: application ended after {self.application} s, "
            f"member after {self.member} s with {self.code}"
        )


class Endings:
    """Watches Pods for as long as the context lasts."""

    def __init__(self, kubectl: Kubectl, selector: str) -> None:
        self.seen: list[Ending] = []
        self._command = [
            *("kubectl", f"--namespace={kubectl.namespace}", "get", "pods", f"--selector={selector}"),
            *("--watch", "--output=json"),
        ]

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile("w+")
        self._watch = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=self._output)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.terminate()
        self._watch.wait()
        with self._output:
            self._output.seek(0)
            told = documents(self._output.read())
        asked: dict[str, float] = {}
        last = {}
        for pod in told:
            uid = pod["metadata"]["uid"]
            last[uid] = pod
            if "deletionTimestamp" in pod["metadata"]:
                asked.setdefault(uid, asked_to_end(pod["metadata"]))
        self.seen = [end for uid, since in asked.items() if (end := ending(last[uid], since))]

    def __str__(self) -> str:
        return "\n".join(map(str, self.seen))


def documents(text: str) -> list[Any]:
    """JSON documents, one behind the other; of the last one there may be a part only."""
    decoder, found, start = json.JSONDecoder(), [], 0
    while (start := text.find("{", start)) >= 0:
        try:
            document, start = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            break
        found.append(document)
    return found


def asked_to_end(metadata: Any) -> float:
    """When a Pod was asked to end, in seconds since 1970.

    Its time of deletion is when its grace period will be over. At the end both are set anew, to no period.
    """
    due = datetime.fromisoformat(metadata["deletionTimestamp"]).timestamp()
    return float(due - metadata["deletionGracePeriodSeconds"])


def ending(pod: Any, asked: float) -> Ending | None:
    """How a Pod ended that was asked to; None where nobody was there to see it."""
    statuses = container_statuses(pod)
    ended = {c["name"]: c["state"]["terminated"] for c in statuses if "terminated" in c["state"]}
    if not {"app", "hazelcast"} <= ended.keys():
        return None
    app, member = (
        round(datetime.fromisoformat(ended[name]["finishedAt"]).timestamp() - asked)
        for name in ("app", "hazelcast")
    )
    return Ending(pod["metadata"]["name"], app, member, ended["hazelcast"]["exitCode"])

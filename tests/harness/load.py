"""Annotated Pods created through the API server, so many a second, and what became of each."""

import contextlib
import http.client
import itertools
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.harness.control_plane import ControlPlane

RATE = 50
_CLIENTS = 16
_INJECT, _GROUP = "sidecar.hazelcast.com/inject", "sidecar.hazelcast.com/group"


class Failure(NamedTuple):
    """A creation that did not succeed: from when to when, by `time.monotonic`, and what was answered."""

    begun: float
    ended: float
    what: str


@dataclass
class Tally:
    """What became of the creations.

    Attributes:
        members: Pods that were created with a member.
        bare: those that were created without.
        failures: those that were not created, as far as is known.
        longest: seconds until the slowest answer.
        seconds: from the first creation to the last.
    """

    members: int = 0
    bare: int = 0
    failures: list[Failure] = field(default_factory=list)
    longest: float = 0.0
    seconds: float = 0.0

    @property
    def asked(self) -> int:
        """How many creations were asked for."""
        return self.members + self.bare + len(self.failures)

    def __str__(self) -> str:
        counts = Counter(failure.what for failure in self.failures)
        return (
            f"{self.asked} Pods in {self.seconds:.0f} s, {len(self.failures)} failed, {self.bare} without a "
            f"member, longest {self.longest * 1000:.0f} ms"
            + "".join(f"\n  {count} x {what}" for what, count in counts.most_common())
        )


class Load:
    """Creates Pods at a fixed pace from several clients; a slow answer does not slow the others down."""

    def __init__(self, cluster: ControlPlane, namespace: str, clients: int) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._begun = 0.0
        self._threads = [threading.Thread(target=self._create, daemon=True) for _ in range(clients)]
        self.tally = Tally()
        self.crashes: list[BaseException] = []

    def start(self) -> None:
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def _create(self) -> None:
        try:
            with contextlib.closing(self._connection()) as connection:
                while not self._stop.is_set():
                    number = next(self._numbers)
                    if self._stop.wait(max(0.0, self._begun + number / RATE - time.monotonic())):
                        return
                    self._create_one(connection, number)
        except BaseException as error:  # noqa: BLE001 - a thread's end must not pass for silence
            self.crashes.append(error)

    def _connection(self) -> http.client.HTTPSConnection:
        """A connection that is made anew when it was lost, as clients have it."""
        context = ssl.create_default_context(cafile=self._cluster.ca_file)
        host = self._cluster.url.removeprefix("https://")
        return http.client.HTTPSConnection(host, context=context, timeout=60)

    def _create_one(self, connection: http.client.HTTPSConnection, number: int) -> None:
        headers = {"Authorization": f"Bearer {self._cluster.token}", "Content-Type": "application/json"}
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        begun = time.monotonic()
        failure, document = "", {}
        try:
            connection.request("POST", path, json.dumps(gated_pod(f"shop-{number}")), headers)
            response = connection.getresponse()
            document = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            failure = f"{type(error).__name__}: {error}"
        else:
            if response.status != http.HTTPStatus.CREATED:
                failure = f"{response.status} {document['message']}".replace(f"shop-{number}", "...")
        ended = time.monotonic()
        with self._lock:
            tally = self.tally
            tally.longest = max(tally.longest, ended - begun)
            if failure:
                tally.failures.append(Failure(begun, ended, failure))
            elif has_member(document):
                tally.members += 1
            else:
                tally.bare += 1


def gated_pod(name: str) -> dict[str, Any]:
    """A Pod of a workload that asks for a member, labelled as its template; nobody would ever run it."""
    return {
        "metadata": {
            "name": name,
            "labels": {_INJECT: "true", "pod-template-hash": "5d4f9c"},
            "annotations": {_INJECT: "true", _GROUP: "shop"},
        },
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "containers": [{"name": "app", "image": "shop:1"}],
        },
    }


def has_member(pod: dict[str, Any]) -> bool:
    return any(each["name"] == "hazelcast" for each in pod["spec"].get("initContainers", ()))


@contextlib.contextmanager
def creating(cluster: ControlPlane, namespace: str, clients: int = _CLIENTS) -> Iterator[Load]:
    """Create Pods all the while, and at the end look at those that are stored: each has its member.

    Few clients leave a slow machine room for other things; on a fast one they are as quick as many.

    A creation without an answer may have been stored all the same, so answers alone would not do.
    """
    load = Load(cluster, namespace, clients)
    load.start()
    begun = time.monotonic()
    try:
        yield load
    finally:
        load.stop()
        load.tally.seconds = time.monotonic() - begun
    if load.crashes:
        raise load.crashes[0]
    answer = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods")
    assert answer.code == http.HTTPStatus.OK, answer.message
    pods = answer.document["items"]
    assert len(pods) >= load.tally.members > 0
    assert [pod["metadata"]["name"] for pod in pods if not has_member(pod)] == []

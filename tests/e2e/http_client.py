"""The demo application over HTTP, as curl has it: through the NodePort, or one replica at a time."""

from __future__ import annotations

import contextlib
import http.client
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.e2e.kubectl import running_kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubectl import Kubectl

SECONDS = 15
SERVING = re.compile(r"Starting to serve on ([0-9.]+):(\d+)")


@dataclass(frozen=True)
class Entrance:
    """A place behind which the application answers."""

    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        """Show it as one would type it after curl."""
        return f"http://{self.host}:{self.port}{self.prefix}"

    def get(self, path: str, **query: str) -> str:
        """The body of a GET, over a connection of its own, so that each may reach another replica.

        Raises:
            OSError: no answer, or none with status 200.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", f"{self.prefix}{path}?{urlencode(query)}")
                answer = connection.getresponse()
                body = answer.read().decode()
            except http.client.HTTPException as error:
                raise OSError(f"no HTTP answer: {error!r}") from error
        if answer.status != http.client.OK:
            raise OSError(f"{path}: {answer.status} {body.strip()}")
        return body


@contextlib.contextmanager
def api_proxy(kubectl: Kubectl) -> Iterator[Entrance]:
    """The API server, which forwards to any Pod and Service, through `kubectl proxy`."""
    with running_kubectl("proxy", "--port=0", announces=SERVING) as match:
        yield Entrance(match[1], int(match[2]), f"/api/v1/namespaces/{kubectl.namespace}")


def replica(api: Entrance, pod: str) -> Entrance:
    """One Pod and no other."""
    return Entrance(api.host, api.port, f"{api.prefix}/pods/{pod}:5000/proxy")


def front_door(kubectl: Kubectl, service: str, api: Entrance) -> Entrance:
    """The Service's NodePort; where no node can be reached from here (kind), the API server's way to it."""
    port = kubectl.read("service", service)["spec"]["ports"][0]["nodePort"]
    for node in kubectl.read("nodes")["items"]:
        for address in node["status"]["addresses"]:
            door = Entrance(address["address"], port)
            if address["type"] == "InternalIP" and answers(door):
                return door
    return Entrance(api.host, api.port, f"{api.prefix}/services/{service}:http/proxy")


def answers(door: Entrance) -> bool:
    """Whether there is an answer at all."""
    try:
        door.get("/healthz")
    except OSError:
        return False
    return True

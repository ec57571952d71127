"""The demo with members of some size, and a Pod beside it that puts and reads many entries."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hazelcast_sidecar.names import PREFIX
from tests.e2e.conftest import namespace
from tests.e2e.http_client import Entrance, api_proxy, front_door
from tests.e2e.replicas import settle
from tests.e2e.workloads import idle_pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.kubectl import Kubectl

VALUE_BYTES = 100 * 1024
LOADER = (Path(__file__).parent / "loader.py").read_text()


class Cluster(NamedTuple):
    """The demo, and how to reach it."""

    kubectl: Kubectl
    door: Entrance
    entries: int = 0
    """Of VALUE_BYTES each, beside those of the traffic."""

    def load(self, what: str) -> dict[str, Any]:
        """Have the loader `fill` the map, or `check` it; its answer."""
        sizes = (str(self.entries), str(VALUE_BYTES))
        command = ("python", "-c", LOADER, "hazelcast-demo:5701", what, *sizes)
        shown = self.kubectl("exec", "loader", "--", *command, seconds=600)
        answer: dict[str, Any] = json.loads(shown.splitlines()[-1])
        return answer


@contextlib.contextmanager
def loaded_cluster(
    manifests: list[dict[str, Any]], name: str, replicas: int, annotations: Mapping[str, str]
) -> Iterator[Cluster]:
    """So many replicas in the namespace of this name; they have no entries yet."""
    with namespace(name) as kubectl, api_proxy(kubectl) as api:
        documents = [copy.deepcopy(d) for d in manifests if d["kind"] != "Namespace"]
        for document in documents:
            document["metadata"]["namespace"] = kubectl.namespace
            if document["kind"] == "Deployment":
                document["spec"]["replicas"] = replicas
                given = {f"{PREFIX}{key}": text for key, text in annotations.items()}
                document["spec"]["template"]["metadata"]["annotations"] |= given
        kubectl.apply(*documents, idle_pod(manifests, "loader"))
        settle(kubectl, replicas)
        yield Cluster(kubectl, front_door(kubectl, "demo", api))

"""Objects as an API server has them, for the leader's decisions about them, request by request."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from hazelcast_sidecar.group_objects.desired_objects import OURS
from hazelcast_sidecar.kube.client import Api, ListMetadata, Page
from hazelcast_sidecar.kube.objects import KEPT_KINDS, POD, Kind, Metadata, Partial
from hazelcast_sidecar.model.status import Status, encode
from hazelcast_sidecar.names import GROUP, STATUS
from hazelcast_sidecar.owners import OwnerReference

STATUS_OF_SHOP = Status(version="1", group="shop", cluster="dev", image="i", discovery="dns", port=5701)
REPLICA_SET = OwnerReference("apps/v1", "ReplicaSet", "shop-5d4f9c", "uid-of-shop", controller=True)


class StoredObjects(Api):
    """Stands in for an API server where a test says what is stored, or what is refused.

    Attributes:
        stored: documents by kind, namespace and name.
        done: what was asked for, such as "apply Service hazelcast-shop".
        fails: raises what it likes, called with each of these.
    """

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, str], Any] = {}
        self.done: list[str] = []
        self.fails: Callable[[str], None] = lambda _: None
        self.listed: list[Metadata] = []
        self._version = 100

    def put(self, kind: str, name: str, document: Any) -> None:
        self.stored[kind, "ns", name] = document

    def change(self, kind: str, name: str) -> Metadata:
        """Have another client change an object that the controller applied; its metadata then."""
        stored = self.stored[kind, "ns", name]
        self._version += 1
        stored["metadata"]["resourceVersion"], stored["applied"] = str(self._version), None
        return msgspec.convert(stored["metadata"], Metadata)

    def _note(self, what: str) -> None:
        self.done.append(what)
        self.fails(what)

    def written(self) -> list[str]:
        """What changed something."""
        return [each for each in self.done if each.split()[0] in ("apply", "take", "delete")]

    async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
        self._note(f"get {kind.name} {name}")
        found = self.stored.get((kind.name, namespace, name))
        return found and msgspec.convert(found, Partial)

    async def read_as(self, item: type[Any], kind: Kind, namespace: str, name: str) -> Any:
        self._note(f"read {kind.name} {name}")
        found = self.stored.get((kind.name, namespace, name))
        return found and msgspec.convert(found, item)

    async def apply(
        self, kind: Kind, obj: dict[str, Any], *, force: bool, field_manager: str = ""
    ) -> Partial:
        assert not field_manager
        metadata = obj["metadata"]
        self._note(f"{'take' if force else 'apply'} {kind.name} {metadata['name']}")
        place = kind.name, metadata["namespace"], metadata["name"]
        before = self.stored.get(place)
        if before is None or before["applied"] != obj:
            self._version += 1
            server = {"uid": f"uid-{self._version}", "resourceVersion": str(self._version)}
            if before is not None:
                server["uid"] = before["metadata"]["uid"]
            self.stored[place] = {"metadata": {**metadata, **server}, "applied": obj}
        return msgspec.convert(self.stored[place], Partial)

    async def delete(self, kind: Kind, metadata: Metadata) -> None:
        self._note(f"delete {kind.name} {metadata.name}")
        found = self.stored.get((kind.name, metadata.namespace, metadata.name))
        if found is not None and found["metadata"]["uid"] == metadata.uid:
            del self.stored[kind.name, metadata.namespace, metadata.name]

    async def pages(
        self, kind: Kind, item: type[Any], namespace: str = "", **query: str
    ) -> AsyncIterator[Page[Any]]:
        assert (kind, item, namespace, query) == (POD, Partial, "ns", {"labelSelector": f"{GROUP}=shop"})
        yield Page(ListMetadata("1"), [Partial(pod) for pod in self.listed])


def injected_pod(
    name: str = "shop-1", owner: OwnerReference | None = REPLICA_SET, **changed: Any
) -> Metadata:
    """The metadata of a Pod of the group shop, or of another group that its status names."""
    made = msgspec.structs.replace(STATUS_OF_SHOP, **changed)
    return Metadata(
        name=name,
        namespace="ns",
        uid=f"uid-{name}",
        labels={GROUP: made.group},
        known_annotations={STATUS: encode(made)},
        owner_references=(owner,) if owner else (),
    )


def whole_pod(name: str = "shop-1", port: int = 5701, group: str = "shop") -> dict[str, Any]:
    """The Pod of that name, with a member as its status says."""
    member = {
        "name": "hazelcast",
        "env": [{"name": "HAZELCAST_KUBERNETES_SERVICE_DNS", "value": f"hazelcast-{group}"}],
        "ports": [{"containerPort": port}],
    }
    volume = {"name": "hazelcast-config", "configMap": {"name": f"hazelcast-{group}"}}
    return {"metadata": {"uid": f"uid-{name}"}, "spec": {"initContainers": [member], "volumes": [volume]}}


def managed(kind: str, version: str = "7") -> Metadata:
    """An object that the controller applied for the group shop."""
    assert kind in KEPT_KINDS
    return Metadata(
        name="hazelcast-shop",
        namespace="ns",
        uid=f"uid-of-{kind}",
        resource_version=version,
        labels={**OURS, GROUP: "shop"},
    )

"""Owners that anyone can have written, and what is asked of the API server about them."""

import asyncio
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.controller.events import top_owner
from hazelcast_sidecar.controller.events.top_owner import CONFIRMABLE, Owner, TopOwners, is_well_formed
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import Kind, Metadata, Partial
from hazelcast_sidecar.names import is_object_name
from hazelcast_sidecar.owners import OwnerReference

POD = OwnerReference("v1", "Pod", "shop-1", "uid-pod")
DEPLOYMENT = OwnerReference("apps/v1", "Deployment", "shop", "uid-shop")
REPLICAS = OwnerReference("apps/v1", "ReplicaSet", "shop-5d4f9c", "uid-replicas")
MADE = msgspec.structs.replace(DEPLOYMENT, controller=True)


class Server:
    """Stands in for the API server: has some objects, and notes what it is asked for."""

    def __init__(self, *owned: tuple[OwnerReference, OwnerReference | None]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._objects = {
            (reference.kind, reference.name): Metadata(
                name=reference.name, uid=reference.uid, owner_references=(owner,) if owner else ()
            )
            for reference, owner in owned
        }

    async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
        assert namespace == "ns"
        self.asked.append((kind.name, name))
        found = self._objects.get((kind.name, name))
        return Partial(found) if found else None


def subjects(server: Server) -> TopOwners:
    return TopOwners(cast("Api", server))


async def test_an_owner_is_looked_up_once_until_it_is_wanted_again() -> None:
    server = Server((REPLICAS, MADE), (DEPLOYMENT, None))
    known = subjects(server)
    for _ in range(3):
        assert await known.find("ns", REPLICAS, POD) == DEPLOYMENT
    assert server.asked == [("ReplicaSet", "shop-5d4f9c"), ("Deployment", "shop")]
    assert await known.confirm("ns", REPLICAS, again=True) == Owner(REPLICAS, DEPLOYMENT, asks=False)
    assert len(server.asked) == 3


async def test_an_owner_whose_metadata_cannot_be_read_is_none() -> None:
    """It would keep every other claim of its group from being believed."""

    class Unreadable(Server):
        async def get(self, *_: object) -> Partial | None:
            raise msgspec.ValidationError("more labels than any object has")

    assert await subjects(Unreadable()).confirm("ns", REPLICAS) is None


async def test_what_has_gone_is_known_to_have_gone() -> None:
    server = Server()
    known = subjects(server)
    for _ in range(3):
        assert await known.find("ns", REPLICAS, POD) == POD
    assert server.asked == [("ReplicaSet", "shop-5d4f9c")]


@pytest.mark.parametrize(
    "maker",
    [
        msgspec.structs.replace(MADE, uid="another"),
        msgspec.structs.replace(MADE, name="payroll"),
        msgspec.structs.replace(MADE, controller=None),
        OwnerReference("v1", "Node", "node", "uid-node", controller=True),
        OwnerReference("argoproj.io/v1alpha1", "Rollout", "shop", "uid-rollout", controller=True),
        OwnerReference("apps/v1", "Deployment", "../x", "uid-shop", controller=True),
        OwnerReference("apps/v1", "Deployment\x1b[2J", "shop", "uid-shop", controller=True),
    ],
)
async def test_what_a_replica_set_claims_of_its_maker_is_looked_up_too(maker: OwnerReference) -> None:
    assert await subjects(Server((REPLICAS, maker), (DEPLOYMENT, None))).find("ns", REPLICAS, POD) == REPLICAS


async def test_of_several_owners_of_a_replica_set_the_one_that_controls_it_made_it() -> None:
    class Shared(Server):
        async def get(self, kind: Kind, namespace: str, name: str) -> Partial | None:
            found = await super().get(kind, namespace, name)
            if found and kind.name == "ReplicaSet":
                other = OwnerReference("apps/v1", "Deployment", "payroll", "uid-payroll")
                found.metadata.owner_references = (other, *found.metadata.owner_references)
            return found

    payroll = OwnerReference("apps/v1", "Deployment", "payroll", "uid-payroll")
    server = Shared((REPLICAS, MADE), (DEPLOYMENT, None), (payroll, None))
    assert await subjects(server).find("ns", REPLICAS, POD) == DEPLOYMENT


TEXTS = st.text(max_size=30)


@given(
    api_version=st.sampled_from(["apps/v1", "batch/v1", "v1", "apps/v1/../v2"]) | TEXTS,
    kind=st.sampled_from([kind for _, kind in CONFIRMABLE]) | TEXTS,
    name=st.sampled_from(["shop", "../secrets/x", "a/b", "x" * 300, "shop?watch=1", ""]) | TEXTS,
    uid=st.sampled_from(["uid-shop", "x" * 300, ""]) | TEXTS,
)
def test_whatever_an_owner_says_leads_nowhere_else(api_version: str, kind: str, name: str, uid: str) -> None:
    claimed = OwnerReference(api_version, kind, name, uid)
    server = Server()
    known = subjects(server)
    assert asyncio.run(known.find("ns", claimed, POD)) == POD
    assert all(is_object_name(asked) for _, asked in server.asked)
    assert known.is_known("ns", claimed)


@given(st.builds(OwnerReference, api_version=TEXTS, kind=TEXTS, name=TEXTS, uid=TEXTS))
def test_an_owner_that_is_well_formed_is_short_and_printable(claimed: OwnerReference) -> None:
    if is_well_formed(claimed):
        shown = f"{claimed.api_version}{claimed.kind}{claimed.name}{claimed.uid}"
        assert shown.isascii()
        assert shown.isprintable()


async def test_no_more_is_kept_than_so_many() -> None:
    known = subjects(Server())
    for number in range(5000):
        claimed = msgspec.structs.replace(REPLICAS, uid=f"uid-{number}")
        await known.confirm("ns", claimed)
    kept = sum(known.is_known("ns", msgspec.structs.replace(REPLICAS, uid=f"uid-{n}")) for n in range(5000))
    assert kept == 4096


async def test_what_was_not_asked_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_owner, "_MAX_KNOWN", 2)
    known = subjects(Server())
    owners = {uid: msgspec.structs.replace(REPLICAS, uid=uid) for uid in "abc"}
    for uid in "abac":
        await known.confirm("ns", owners[uid])
    assert [known.is_known("ns", owner) for owner in owners.values()] == [True, False, True]

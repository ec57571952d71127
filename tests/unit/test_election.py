"""How a leader renews its Lease, and gives it back where a renewal of its own comes in between."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client import V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord

from hazelcast_sidecar.controller.shared.election import _Lease, _TakenError


class Leases:
    """A Lease whose version changes between the first reads and the writes that follow them."""

    def __init__(self, holder: str, renewals: int, status: int = 409) -> None:
        self.holder: str | None = holder
        self.renewals, self.status = renewals, status
        self.reads = 0

    async def read_namespaced_lease(self, _name: str, _namespace: str) -> Any:
        self.reads += 1
        return SimpleNamespace(spec=SimpleNamespace(holder_identity=self.holder))

    async def replace_namespaced_lease(self, _name: str, _namespace: str, lease: Any) -> None:
        if self.renewals:
            self.renewals -= 1
            raise ApiException(status=self.status, reason="changed")
        self.holder = lease.spec.holder_identity


def lease_of(leases: Leases) -> _Lease:
    lease = _Lease.__new__(_Lease)
    lease.name, lease.namespace, lease.identity, lease.api_instance = "lease", "ours", "one", leases
    return lease


@pytest.mark.parametrize("renewals", [0, 1, 3])
async def test_it_is_given_back_behind_renewals_that_were_under_way(renewals: int) -> None:
    leases = Leases("one", renewals)
    await lease_of(leases).release()
    assert (leases.holder, leases.reads) == (None, renewals + 1)


async def test_what_another_holds_is_left_alone() -> None:
    leases = Leases("two", 0)
    await lease_of(leases).release()
    assert (leases.holder, leases.reads) == ("two", 1)


async def test_a_refusal_is_left_to_time() -> None:
    leases = Leases("one", 1, status=403)
    await lease_of(leases).release()
    assert (leases.holder, leases.renewals) == ("one", 0)


class Stored:
    """A Lease as an API server keeps it: what is written in an old version is a conflict."""

    def __init__(self) -> None:
        self.version, self.holder = 1, "one"
        self.requests: list[str] = []

    def take(self, holder: str) -> None:
        """Write it as another replica does."""
        self.version, self.holder = self.version + 1, holder

    async def read_namespaced_lease(self, _name: str, _namespace: str) -> V1Lease:
        self.requests.append("read")
        return self._lease()

    async def replace_namespaced_lease(self, _name: str, _namespace: str, lease: V1Lease) -> V1Lease:
        self.requests.append("write")
        if lease.metadata.resource_version != str(self.version):
            raise ApiException(status=409, reason="changed")
        self.take(lease.spec.holder_identity)
        return self._lease()

    def _lease(self) -> V1Lease:
        now = datetime.now(UTC)
        spec = V1LeaseSpec(
            holder_identity=self.holder, lease_duration_seconds=15, acquire_time=now, renew_time=now
        )
        return V1Lease(metadata=V1ObjectMeta(resource_version=str(self.version)), spec=spec)


async def renewed(lease: _Lease) -> bool:
    """Renew it once as the library does."""
    is_there, record = await lease.get("lease", "ours")
    assert is_there
    assert record.holder_identity == "one"
    now = str(datetime.now())  # noqa: DTZ005 - as the library has it
    return await lease.update("lease", "ours", LeaderElectionRecord("one", "15", now, now))


def stored_lease() -> tuple[Stored, _Lease]:
    stored = Stored()
    lease = _Lease("lease", "ours", "one", None)
    lease.api_instance, lease.is_ours = stored, True
    return stored, lease


async def test_a_leader_renews_without_reading_first() -> None:
    stored, lease = stored_lease()
    assert [await renewed(lease) for _ in range(3)] == [True] * 3
    assert stored.requests == ["read", "write", "write", "write"]


async def test_a_leader_that_finds_it_taken_at_its_renewal_knows_at_once() -> None:
    stored, lease = stored_lease()
    assert await renewed(lease)
    stored.take("two")
    with pytest.raises(_TakenError, match="held by two"):
        await renewed(lease)
    assert stored.holder == "two"


async def test_a_leader_whose_lease_was_written_by_others_reads_it_again() -> None:
    stored, lease = stored_lease()
    assert await renewed(lease)
    stored.take("one")  # such as with a label
    assert not await renewed(lease)
    assert await renewed(lease)
    assert await renewed(lease)
    assert stored.requests[2:] == ["write", "read", "read", "write", "write"]

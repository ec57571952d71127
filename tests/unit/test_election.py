"""How a leader gives its Lease back, where a renewal of its own comes in between."""

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException

from hazelcast_sidecar.controller.shared.election import _Lease


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

"""The replicas of the demonstration: they come and go, as a ReplicaSet has them."""

from collections.abc import Awaitable, Callable, Iterator

from hazelcast_sidecar.demo.deployment import Beside, beside
from hazelcast_sidecar.demo.failure import DemoError
from hazelcast_sidecar.demo.replica import Machine, Replica
from hazelcast_sidecar.kube.objects import JsonObject

ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 8))
"""Loopback addresses, one for each replica that there may be."""


class RunningReplicas:
    """The running replicas, each on an address of its own.

    Args:
        machine: where they run.
        new_pod: makes an injected Pod.
    """

    def __init__(self, machine: Machine, new_pod: Callable[[], Awaitable[JsonObject]]) -> None:
        self._machine, self._new_pod = machine, new_pod
        self._running: dict[int, Replica] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._running.values())

    @property
    def is_full(self) -> bool:
        """Tell whether there are no addresses for further replicas."""
        return len(self) == len(ADDRESSES)

    async def create(self) -> Replica:
        """Have a Pod injected, and give it the first free address; it does not run yet."""
        index = next(number for number in range(len(ADDRESSES)) if number not in self._running)
        replica = Replica(index, ADDRESSES[index], await self._new_pod(), self._machine)
        self._running[index] = replica
        return replica

    async def start(self, replica: Replica) -> None:
        """Start a replica beside the others.

        Raises:
            DemoError: it did not start; it is no longer among the replicas.
        """
        try:
            await replica.start(self._resources(), [each.address for each in self])
        except DemoError:
            await self.kill(replica)
            raise

    async def kill(self, replica: Replica) -> None:
        """Kill all programs of a replica at once."""
        del self._running[replica.index]
        await replica.kill()

    def _resources(self) -> Beside:
        pods = [replica.pod for replica in self]
        return beside(pods, pods[0]["metadata"]["namespace"])

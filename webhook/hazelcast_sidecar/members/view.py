"""A member's own view of its cluster, as Hazelcast's HTTP endpoints give it.

The answers come from a port in a tenant's Pod, so anything may answer there: they are decoded within bounds.
Source: Hazelcast documentation, "Maintain: Health Check" and "REST API" (5.7).
"""

from collections.abc import Callable
from typing import Annotated

import msgspec

from hazelcast_sidecar import untrusted

HEALTH_PATH = "/hazelcast/health"
MEMBERS_PATH = "/hazelcast/rest/cluster"
"""Where a member that lets itself be asked lists the members that it sees."""

MAX_ANSWER = 256 * 1024
"""Characters of an answer that are read: a list of a thousand members has fewer."""

_Short = Annotated[str, msgspec.Meta(max_length=128)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The answer under `HEALTH_PATH`."""

    node_state: _Short
    cluster_state: _Short
    cluster_safe: bool
    """Whether each partition has its backups and none of them is being moved."""
    migration_queue_size: _Count
    cluster_size: _Count


class ListedMember(msgspec.Struct, frozen=True, rename="camel"):
    """A member in the list of another one, or of itself."""

    address: _Short
    """`[IP]:PORT`."""
    uuid: _Short = ""
    local_member: bool = False
    member_version: _Short = ""


class MemberList(msgspec.Struct, frozen=True):
    """The answer under `MEMBERS_PATH`."""

    members: tuple[ListedMember, ...]


decode_health: Callable[[str], Health] = untrusted.decoder(Health, MAX_ANSWER)
"""Decode a health answer; raises `untrusted.UndecodableError`."""

decode_members: Callable[[str], MemberList] = untrusted.decoder(MemberList, MAX_ANSWER)
"""Decode a list of members; raises `untrusted.UndecodableError`."""


class MemberView(msgspec.Struct, frozen=True):
    """What one member answered."""

    health: Health
    members: tuple[ListedMember, ...] | None = None
    """The members that it sees; None where it does not say."""

    @property
    def version(self) -> str:
        """Return its own release; empty if it does not say."""
        return next((member.member_version for member in self.members or () if member.local_member), "")

    @property
    def cluster(self) -> frozenset[str] | int:
        """Identify its cluster: by the members that it sees, else by how many they are."""
        if self.members is None:
            return self.health.cluster_size
        return frozenset(member.uuid or member.address for member in self.members)

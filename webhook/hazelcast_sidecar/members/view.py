"""A member's own view of its cluster, as Hazelcast's HTTP endpoints give it.

The answers come from a port in a tenant's Pod, so anything may answer there: they are decoded within bounds.
Source: Hazelcast documentation, "Maintain: Health Check" and "REST API" (5.7).
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Annotated, Self

import msgspec

from hazelcast_sidecar import untrusted

HEALTH_PATH = "/hazelcast/health"
MEMBERS_PATH = "/hazelcast/rest/cluster"
"""Where a member that lets itself be asked lists the members that it sees."""

MAX_ANSWER = 256 * 1024
"""Characters of an answer that are read: a list of a thousand members has fewer."""

_IDENTITY_LENGTH = 16

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
    version: str = ""
    """Its own release; empty if it does not say."""
    cluster: str = ""
    """The identity of the cluster that it sees: equal for members that see the same ones; empty if it does
    not say which ones."""
    members: tuple[ListedMember, ...] | None = None
    """The members that it sees; None where it does not say, or where they are not kept."""

    def without_list(self) -> Self:
        """Return it without the list: small, however long that is."""
        return msgspec.structs.replace(self, members=None)


def view_of(health: bytes, listed: bytes | None) -> MemberView:
    """Decode what a member answered.

    Args:
        health: under `HEALTH_PATH`.
        listed: under `MEMBERS_PATH`; None: it did not answer that. Another answer than a list of members
            counts as none.

    Raises:
        UndecodableError: the first is not a health answer.
    """
    decoded = decode_health(_text(health))
    if listed is None:
        return MemberView(decoded)
    try:
        members = decode_members(_text(listed)).members
    except untrusted.UndecodableError:
        return MemberView(decoded)
    version = next((member.member_version for member in members if member.local_member), "")
    return MemberView(decoded, version, _identity(members), members)


def _identity(members: Iterable[ListedMember]) -> str:
    names = sorted({member.uuid or member.address for member in members})
    return sha256("\n".join(names).encode(errors="replace")).hexdigest()[:_IDENTITY_LENGTH]


def _text(answer: bytes) -> str:
    return answer.decode(errors="replace")

"""Whether members that run and members that would be made now form one cluster.

Where they do not, entries do not pass from the ones to the others: a rollout loses all of them.
"""

from typing import NamedTuple

from hazelcast_sidecar.model.status import Status
from hazelcast_sidecar.names import PREFIX
from hazelcast_sidecar.spec.annotations import SidecarSpec


class Membership(NamedTuple):
    """All that decides which members form one cluster."""

    group: str
    cluster: str
    port: int
    """Where members look for each other."""
    image: str
    backups: str


def membership_of(spec: SidecarSpec, group: str) -> Membership:
    """Return the membership of a member that is made from a spec."""
    return Membership(group, spec.cluster_name, spec.ports.members, spec.image, spec.backups)


def recorded_membership(status: Status) -> Membership:
    """Return the membership of a member that runs, as the status annotation has it."""
    return Membership(status.group, status.cluster, status.ports.members, status.image, status.backups)


def separation(before: Membership, after: Membership) -> tuple[str, ...]:
    """Say why two members form no common cluster, a clause for each reason; nothing where they do.

    Source: Hazelcast documentation, "Rolling Upgrades": between minor releases they are for the Enterprise
    edition.
    """
    if before.group != after.group:
        return (f'members of the groups "{before.group}" and "{after.group}" do not look for each other',)
    if before.cluster != after.cluster:
        return (f'members of the clusters "{before.cluster}" and "{after.cluster}" do not join each other',)
    found = []
    old, new = minor_release(before.image), minor_release(after.image)
    if old and new and old != new:
        found.append(
            f"members of Hazelcast {old} and {new} form no common cluster in the open-source edition"
        )
    elif before.image != after.image and not (old and new):
        found.append(
            f"members of the images {before.image} and {after.image}, whose tags do not say their releases, "
            "form a common cluster only if both are of one minor release"
        )
    if before.port != after.port:
        found.append(f"members on port {before.port} and members on port {after.port} do not find each other")
    if before.backups != after.backups:
        found.append(
            f"members with {PREFIX}backups {before.backups} and {after.backups} form no common cluster"
        )
    return tuple(found)


def release_of_members(image: str) -> tuple[int, int] | None:
    """Return (5, 7) of hazelcast/hazelcast:5.7.0; None where the tag says nothing about Hazelcast itself."""
    repository, _, _ = _repository_and_tag(image)
    release = minor_release(image)
    if repository not in _OF_HAZELCAST or not release:
        return None
    major, minor = release.split(".")
    return int(major), int(minor)


_ENTERPRISE = "hazelcast-enterprise"
_OF_HAZELCAST = ("hazelcast", _ENTERPRISE)
"""Names of repositories whose tags are releases of Hazelcast, also in a mirror."""


def minor_release(image: str) -> str:
    """5.7 of hazelcast/hazelcast:5.7.0-slim; nothing where the tag is not a version."""
    _, _, tag = _repository_and_tag(image)
    parts = tag.partition("-")[0].split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and all(part.isdecimal() for part in parts) else ""


def needs_licence(image: str) -> bool:
    """Tell whether an image is of Hazelcast Enterprise, whose members end without a licence."""
    return _repository_and_tag(image)[0] == _ENTERPRISE


def is_slim(image: str) -> bool:
    """Tell whether an image is one of Hazelcast's without optional modules, such as that for SQL."""
    repository, _, tag = _repository_and_tag(image)
    return repository in _OF_HAZELCAST and "slim" in tag.split("-")


def _repository_and_tag(image: str) -> tuple[str, str, str]:
    """Split hazelcast:5.7.0, without what is before it and without a digest, at its colon."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")

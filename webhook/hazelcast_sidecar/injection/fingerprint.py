"""The fingerprint of an injection: two Pods with different fingerprints have different members."""

import hashlib

import msgspec

from hazelcast_sidecar.cache import Cache
from hazelcast_sidecar.injection import member
from hazelcast_sidecar.spec.annotations import SidecarSpec

UNKNOWN = "-"
"""Replaces a fingerprint that could not be computed: an admission policy has no SHA-256."""

_LENGTH = 12
_ANY_GROUP = "any"
_encode = msgspec.json.Encoder(order="sorted").encode


def fingerprint(spec: SidecarSpec, run_as_user: int | None) -> str:
    """Return the first digits of the SHA-256 of the member, its volumes and the application's variables.

    What depends on the Pod itself is left out, so that annotations alone decide it: the group, which is
    recorded beside the fingerprint, and what the Pod's shape decides. The grace period is such;
    `shutdown-timeout`, which raises it, is also among the member's JVM options.
    """
    key = spec, run_as_user
    if (kept := _kept.get(key)) is None:
        kept = _computed(spec, run_as_user)
        _kept.put(key, kept)
    return kept


_kept = Cache[tuple[SidecarSpec, int | None], str](entries=1024, size=8 * 1024 * 1024)
"""Most workloads have the annotations of others, and computing it costs as much as making the patch."""


def _computed(spec: SidecarSpec, run_as_user: int | None) -> str:
    gained = [
        member.container(spec, _ANY_GROUP, run_as_user),
        member.volumes(spec, _ANY_GROUP),
        member.env_vars(member.application_env(spec.port, spec.cluster_name)),
    ]
    return hashlib.sha256(_encode(gained)).hexdigest()[:_LENGTH]

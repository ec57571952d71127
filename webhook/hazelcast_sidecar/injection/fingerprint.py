"""What a decision puts into a Pod, as a short text: two Pods whose texts differ have different members."""

import hashlib

import msgspec

from hazelcast_sidecar.injection import member
from hazelcast_sidecar.spec.annotations import SidecarSpec

UNKNOWN = "-"
"""What stands on a Pod in place of one where it could not be made: an admission policy has no SHA-256."""

_LENGTH = 12
_ANY_GROUP = "any"
_encode = msgspec.json.Encoder(order="sorted").encode


def fingerprint(spec: SidecarSpec, run_as_user: int | None) -> str:
    """The first digits of the SHA-256 of the member, its volumes and the application's variables.

    What depends on the Pod itself is left out, so that it can be told from the annotations alone: the group,
    which stands beside the fingerprint, and what the Pod's shape decides. The grace period is such;
    `shutdown-timeout`, which raises it, stands in the member's JVM options too.
    """
    gained = [
        member.container(spec, _ANY_GROUP, run_as_user),
        member.volumes(spec, _ANY_GROUP),
        member.env_vars(member.application_env(spec.port, spec.cluster_name)),
    ]
    return hashlib.sha256(_encode(gained)).hexdigest()[:_LENGTH]

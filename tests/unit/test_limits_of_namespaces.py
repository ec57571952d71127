"""What is said of a Pod that a ResourceQuota or a LimitRange refuses; the messages are an API server's."""

import pytest

from hazelcast_sidecar.controller.events.limits_of_namespaces import about_limits
from hazelcast_sidecar.names import PREFIX

POD = 'Error creating: pods "shop-6d4b75cb6d-abcde" is forbidden: '


BY_LIMIT = (
    "exceeded quota: compute, requested: limits.memory=768Mi, used: limits.memory=0, "
    "limited: limits.memory=512Mi"
)
BY_REQUESTS = (
    "exceeded quota: compute, requested: cpu=600m,memory=1Gi, used: cpu=0,memory=0, limited: "
    "cpu=500m,memory=512Mi"
)
SEVERAL = (
    "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 256Mi, but "
    "limit is 512Mi, cpu max limit to request ratio per Container is 4, but provided ratio is 20.000000]"
)
TOO_LITTLE = "minimum memory usage per Container is 1Gi, but request is 512Mi"


@pytest.mark.parametrize(
    ("why", "who", "names"),
    [
        (BY_LIMIT, "a ResourceQuota", ["memory-limit"]),
        (BY_REQUESTS, "a ResourceQuota", ["cpu-request", "memory-request", "memory-limit"]),
        ("maximum cpu usage per Container is 1, but limit is 2", "a LimitRange", ["cpu-limit"]),
        (SEVERAL, "a LimitRange", ["cpu-limit", "memory-limit"]),
        (TOO_LITTLE, "a LimitRange", ["memory-request", "memory-limit"]),
    ],
)
def test_the_sentence_names_who_refuses_and_what_sets_the_members_part(
    why: str, who: str, names: list[str]
) -> None:
    keys = ", ".join(PREFIX + name for name in names)
    assert (
        about_limits(POD + why) == f"{who} refuses Pods with their member, whose part is set by {keys}: {why}"
    )


@pytest.mark.parametrize(
    "message",
    [
        "",
        "exceeded quota: compute, requested: limits.memory=768Mi, used: limits.memory=0",
        POD + "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2",
        POD + "failed quota: compute: must specify limits.cpu for: app",
        POD + 'violates PodSecurity "restricted:latest": seccompProfile',
        POD + "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
        "no access to pods: maximum cpu usage per Container is 1, but limit is 2",
    ],
)
def test_of_what_no_annotation_changes_nothing_is_said(message: str) -> None:
    assert about_limits(message) is None

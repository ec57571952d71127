"""Refusals of Pods by a ResourceQuota or a LimitRange, reported with what sets the member's part.

Both count the member, which is not in the workload's template.
Source: the messages of Kubernetes's admission plugins ResourceQuota and LimitRanger.
"""

import re

from hazelcast_sidecar.names import PREFIX

_FORBIDDEN = re.compile(r"pods? \"[^\"]*\" is forbidden: (?P<why>.+)", re.DOTALL)
_QUOTA = re.compile(r"exceeded quota: [^,]+, requested: (?P<requested>.+?), used: ")
_RANGE = re.compile(
    r"(?:maximum|minimum) (?P<resource>cpu|memory) usage per (?:Container|Pod) is [^,\]]+, but "
    r"(?P<of>limit|request) is|(?P<ratio>cpu|memory) max limit to request ratio per (?:Container|Pod) is"
)

_ANNOTATIONS = {
    "cpu": ("cpu-request",),
    "requests.cpu": ("cpu-request",),
    "limits.cpu": ("cpu-limit",),
    "memory": ("memory-request", "memory-limit"),
    "requests.memory": ("memory-request", "memory-limit"),
    "limits.memory": ("memory-limit",),
}
"""What sets the member's part of a resource; its memory request is its limit where nothing else is said."""


def about_limits(message: str) -> str | None:
    """Return a sentence about a refusal with the annotations that help; None if it is another one.

    Args:
        message: of an Event with the reason FailedCreate.
    """
    forbidden = _FORBIDDEN.search(message)
    if forbidden is None:
        return None
    why = forbidden["why"]
    if quota := _QUOTA.match(why):
        who, resources = "a ResourceQuota", [part.split("=")[0] for part in quota["requested"].split(",")]
    else:
        who, resources = "a LimitRange", [_resource(found) for found in _RANGE.finditer(why)]
    names = dict.fromkeys(name for resource in resources for name in _ANNOTATIONS.get(resource, ()))
    if not names:
        return None
    keys = ", ".join(PREFIX + name for name in names)
    return f"{who} refuses Pods with their member, whose part is set by {keys}: {why}"


def _resource(found: re.Match[str]) -> str:
    return f"limits.{found['ratio']}" if found["ratio"] else f"{found['of']}s.{found['resource']}"

"""What is told of a workload, and the Event that says it.

Source: Kubernetes API reference, core/v1 Event.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from hazelcast_sidecar.kube.client import FIELD_MANAGER
from hazelcast_sidecar.names import is_object_name
from hazelcast_sidecar.owners import OwnerReference
from hazelcast_sidecar.text import in_one_line

MAX_MESSAGE = 1024
"""Bytes: what events.k8s.io/v1 allows, of which core/v1 is the older form."""

_MAX_NAME = 253
_HASH_LENGTH = 16


class EventNotice(NamedTuple):
    """What happened to the workload that an owner of Pods belongs to; the same twice is one."""

    namespace: str
    owner: OwnerReference
    reason: str
    sentence: str
    """As `cut` leaves it."""
    warning: bool
    pod: OwnerReference | None = None
    """One of the Pods, as the API server has it: what the Event is about where the owner is none that
    exists."""


class EventSeries(msgspec.Struct, gc=False):
    """When and how often it was told."""

    first: datetime
    last: datetime
    count: int


def can_be(owner: OwnerReference) -> bool:
    """Return whether an owner reference can be of an object: tenants write them, with any text.

    The name is shown by everything that lists Events, and escaped it would be another's.
    """
    return all(text.isprintable() for text in (owner.api_version, owner.kind, owner.name, owner.uid))


def event_name(news: EventNotice, subject: OwnerReference) -> str:
    """One name for one thing that happens to one workload, whoever tells it and however often."""
    digest = sha256(f"{subject.uid}\n{news.reason}\n{news.sentence}".encode()).hexdigest()[:_HASH_LENGTH]
    stem = subject.name[: _MAX_NAME - _HASH_LENGTH - 1].rstrip("-.")
    return f"{stem}.{digest}" if is_object_name(stem) else digest


def event(news: EventNotice, subject: OwnerReference, told: EventSeries) -> dict[str, Any]:
    """The Event, ready to be applied.

    Args:
        news: what it says.
        subject: the workload that it is about.
        told: this time included.
    """
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(news, subject), "namespace": news.namespace},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": news.namespace,
            "name": subject.name,
            "uid": subject.uid,
        },
        "type": "Warning" if news.warning else "Normal",
        "reason": news.reason,
        "message": news.sentence,
        "count": told.count,
        "firstTimestamp": _in_seconds(told.first),
        "lastTimestamp": _in_seconds(told.last),
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }


def cut(sentence: str) -> str:
    """Return as much of a sentence as an Event has room for, in one printable line and in whole letters."""
    encoded = in_one_line(sentence[: MAX_MESSAGE + 1]).encode()
    if len(encoded) <= MAX_MESSAGE:
        return encoded.decode()
    return encoded[: MAX_MESSAGE - len("…".encode())].decode(errors="ignore") + "…"


def _in_seconds(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")

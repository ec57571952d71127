"""The Event about what happens to a workload.

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
"""The maximal bytes of a message in events.k8s.io/v1, of which core/v1 is the older form."""

_MAX_NAME = 253
_HASH_LENGTH = 16


class EventNotice(NamedTuple):
    """A notice for the workload that an owner of Pods belongs to; equal ones become one Event."""

    namespace: str
    owner: OwnerReference
    reason: str
    sentence: str
    """The message, as `cut` leaves it."""
    warning: bool
    pod: OwnerReference | None = None
    """One of the Pods, as the API server has it: the object of the Event if the owner does not exist."""
    asking: bool = False
    """Whether it is true only of Pods that ask for a member."""


class EventSeries(msgspec.Struct, gc=False):
    """The times and the number of equal notices."""

    first: datetime
    last: datetime
    count: int


def can_be(owner: OwnerReference) -> bool:
    """Tell whether an owner reference can refer to an object: tenants write them, with any text.

    Everything that lists Events shows the name, and an escaped name would be another object's.
    """
    return all(text.isprintable() for text in (owner.api_version, owner.kind, owner.name, owner.uid))


def event_name(news: EventNotice, subject: OwnerReference) -> str:
    """Return the same name for the same notice about one workload, from any replica and however often."""
    digest = sha256(f"{subject.uid}\n{news.reason}\n{news.sentence}".encode()).hexdigest()[:_HASH_LENGTH]
    stem = subject.name[: _MAX_NAME - _HASH_LENGTH - 1].rstrip("-.")
    return f"{stem}.{digest}" if is_object_name(stem) else digest


def event(news: EventNotice, subject: OwnerReference, series: EventSeries) -> dict[str, Any]:
    """Build the Event, ready to be applied.

    Args:
        news: the notice.
        subject: the object of the Event.
        series: the series, including this time.
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
        "count": series.count,
        "firstTimestamp": _in_seconds(series.first),
        "lastTimestamp": _in_seconds(series.last),
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
    }


def cut(sentence: str) -> str:
    """Cut a sentence to the size of an Event's message, in one printable line and in whole letters."""
    encoded = in_one_line(sentence[: MAX_MESSAGE + 1]).encode()
    if len(encoded) <= MAX_MESSAGE:
        return encoded.decode()
    return encoded[: MAX_MESSAGE - len("…".encode())].decode(errors="ignore") + "…"


def _in_seconds(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")

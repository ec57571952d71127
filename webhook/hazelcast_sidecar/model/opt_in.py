"""Whether a Pod asks for a member: by the annotation `inject`, or by the label of the same name.

"false" in either place declines, even if the other one asks.
"""

from collections.abc import Mapping

from hazelcast_sidecar.names import INJECT

DECLINED = "false"
ASKED = "true"


def asked(annotations: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> str | None:
    """Return the text by which a Pod, or a Pod template, asks or declines; None if it says nothing.

    Args:
        annotations: its annotations, if it has any.
        labels: its labels, if it has any.
    """
    by_annotation = (annotations or {}).get(INJECT)
    by_label = (labels or {}).get(INJECT)
    if by_annotation is None or by_label == DECLINED:
        return by_label
    return by_annotation


def asks(annotations: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> bool:
    """Tell whether a Pod, or a Pod template, asks; so does a wrong value, the empty one too, to be denied.

    Args:
        annotations: its annotations, if it has any.
        labels: its labels, if it has any.
    """
    return asked(annotations, labels) not in {None, DECLINED}

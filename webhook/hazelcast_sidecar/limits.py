"""Limits on an object's elements, and on the length of texts that are shown.

A few bytes of JSON become tens or hundreds of bytes in memory, so a bound on the bytes of a review does not
bound its cost: its values are counted before any is made. A Pod that gets a member has tighter limits
(`excess`).
"""

import re
from collections.abc import Mapping

MAX_REVIEW_BYTES = 7 * 1024 * 1024
"""The API server accepts objects of 3 MiB; a review can hold two of them and some more."""

MAX_VALUES = 250_000
"""JSON values of a review.

etcd takes objects of 1.5 MiB. A Deployment that fills it with ports, and the managed fields of each of
them, has some 80,000 values; a review of its update has it twice.
"""

UNCOUNTED_BYTES = 2 * MAX_VALUES
"""Length up to which a review cannot have more: each value takes a byte, and its separator another."""

_SEPARATORS = (b",", b"{", b"[")
"""One of them precedes each value but the first, apart from those after a key."""

_TOO_MANY_VALUES = re.compile(
    rb"""(?:[^",{\[]*+(?:"(?:[^"\\]++|\\.)*+"[^",{\[]*+)*+[,{\[]){%d}+""" % (MAX_VALUES + 1), re.DOTALL
)
"""Matches so many separators outside of strings. It never backtracks, so it takes one pass and no memory."""

MAX_ANNOTATIONS = 256 * 1024
"""Bytes of all annotations together, keys included, that the API server accepts.

It checks after the webhooks. Source: k8s.io/apimachinery, `TotalAnnotationSizeLimitB`.
"""

MAX_PROBLEMS = 25
"""Problems that an answer lists: more than a person makes."""

AND_MORE = "and perhaps more; these come first"
"""Added if there are more problems than an answer lists."""

MAX_NAME = 253
"""Characters of the name of a Kubernetes object: longer ones are cut when shown."""


def has_too_many_values(body: bytes) -> bool:
    """Tell whether a review has more than `MAX_VALUES` values, without decoding it.

    A review of up to `UNCOUNTED_BYTES` has not, so callers check its length first. The result is exact for
    JSON. What is not JSON is counted up to the place where a decoder gives up, and perhaps beyond.
    """
    # Strings may have these characters, too: this counts too many, which mostly is still few enough.
    if sum(map(body.count, _SEPARATORS)) <= MAX_VALUES:
        return False
    return _TOO_MANY_VALUES.match(body) is not None


MAX_PORT_LIST = 256
"""Characters of a list of ports that is read; what is longer is not judged."""


def fit(annotations: Mapping[str, str], size: int) -> bool:
    """Tell whether annotations have up to this size in bytes, keys included."""
    letters = sum(map(len, annotations)) + sum(map(len, annotations.values()))
    # No letter has more than four bytes, so that few letters need no closer look.
    return 4 * letters <= size or annotation_bytes(annotations) <= size


def annotation_bytes(annotations: Mapping[str, str]) -> int:
    """Measure annotations as the API server does."""
    return sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items())


def shown(text: str, length: int = MAX_NAME) -> str:
    """Shorten a long text of an object for a message or a log."""
    return text if len(text) <= length else text[:length] + "…"

"""The types an annotation's value can have: text in, a checked value out.

Every function named `*_type` makes a `ValueType`. Its `parse` raises ValueError with half a sentence
that follows the value, such as 'is not an integer from 1 to 5'. Values are data: what could be
interpreted further on (by a shell's word splitting, say) is refused here.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from webhook.names import MAX_GROUP, is_group, is_object_name

MAX_SHOWN = 64
"""Characters of a wrong value that a sentence repeats."""


_CLOSE = 0.6


class ValueType(NamedTuple):
    """A type of values: what a table says of it, and how text becomes a value."""

    description: str
    parse: Callable[[str], Any]


def did_you_mean(word: str, known: list[str]) -> str:
    """' (did you mean ...?)' when a known word is close, else nothing."""
    close = get_close_matches(word, known, n=1, cutoff=_CLOSE)
    return f' (did you mean "{close[0]}"?)' if close else ""


def choice_type(*choices: str) -> ValueType:
    """One of a few words."""
    listed = ", ".join(f'"{choice}"' for choice in choices)

    def parse(text: str) -> str:
        if text not in choices:
            folded = {choice.lower(): choice for choice in choices}
            close = get_close_matches(text.lower(), folded, n=1, cutoff=_CLOSE)
            hint = f' (did you mean "{folded[close[0]]}"?)' if close else ""
            raise ValueError(f"is none of {listed}{hint}")
        return text

    return ValueType(" or ".join(f"`{choice}`" for choice in choices), parse)


def boolean_type() -> ValueType:
    """`true` or `false`, in quotes in YAML, as annotations are text."""
    words = choice_type("true", "false")
    return ValueType(words.description, lambda text: words.parse(text) == "true")


def integer_type(low: int, high: int) -> ValueType:
    """A decimal integer within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"is not an integer from {low} to {high}")
        return int(text)

    return ValueType(f"integer, {low} to {high}", parse)


_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_type(low: int, high: int) -> ValueType:
    """A time span in whole seconds, minutes or hours; the value is in seconds."""

    def parse(text: str) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([smh]?)", text, re.ASCII)
        if match is None:
            raise ValueError('is not a time span such as "90s" or "5m"')
        seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
        if not low <= seconds <= high:
            raise ValueError(f"is not between {low}s and {high}s")
        return seconds

    return ValueType(f"time span, `{low}s` to `{high}s`", parse)


_SUFFIXES = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIXES |= {suffix: Decimal(1000**power) for power, suffix in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{suffix}i": Decimal(1024**power) for power, suffix in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,9})?)([a-zA-Z]{0,2})", re.ASCII)


@lru_cache(maxsize=256)
def quantity(text: str) -> Decimal:
    """The number that a Kubernetes resource quantity stands for: CPUs or bytes.

    Source: k8s.io/apimachinery `resource.Quantity`, without signs and exponents.

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError('is not a Kubernetes quantity such as "500m" or "512Mi"')
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def quantity_type(unit: str, low: str) -> ValueType:
    """A resource quantity of at least `low`; the value is the text as it was written."""

    def parse(text: str) -> str:
        if quantity(text) < quantity(low):
            thousandths = unit == "memory" and text.endswith("m")
            hint = (
                f' ("m" means thousandths; did you mean "{text}i"?)'.replace("mi", "Mi")
                if thousandths
                else ""
            )
            raise ValueError(f"is less than {low} of {unit}{hint}")
        return text

    return ValueType(f"quantity, from `{low}`", parse)


def group_type() -> ValueType:
    """A DNS label (RFC 1123), short enough for the names made of it."""

    def parse(text: str) -> str:
        if not is_group(text):
            raise ValueError(
                f"is not a name of at most {MAX_GROUP} lower-case letters, digits and '-', "
                "which begins and ends with a letter or digit"
            )
        return text

    return ValueType(f"DNS label, at most {MAX_GROUP} characters", parse)


def object_name_type() -> ValueType:
    """The name of a Kubernetes object: a DNS subdomain (RFC 1123)."""

    def parse(text: str) -> str:
        if not is_object_name(text):
            raise ValueError("is not the name of a Kubernetes object (a DNS subdomain, RFC 1123)")
        return text

    return ValueType("name of a ConfigMap in the Pod's namespace", parse)


_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_COMPONENT = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_HOST_COMPONENT}(?:\.{_HOST_COMPONENT})*(?::[0-9]{{1,5}})?/)?"
    rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*)"
    r"(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?"
    r"(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_MAX_IMAGE, _MAX_IMAGE_NAME = 512, 255


def image_type() -> ValueType:
    """A container image reference, by the grammar of github.com/distribution/reference."""

    def parse(text: str) -> str:
        match = _IMAGE.fullmatch(text) if len(text) <= _MAX_IMAGE else None
        if match is None or len(match["name"]) > _MAX_IMAGE_NAME:
            raise ValueError('is not an image reference such as "hazelcast/hazelcast:5.7.0"')
        return text

    return ValueType("image reference", parse)


_MAX_CLUSTER_NAME = 128


def cluster_name_type() -> ValueType:
    """Any printable text: it is carried literally to members and clients."""

    def parse(text: str) -> str:
        if not 0 < len(text) <= _MAX_CLUSTER_NAME or not text.isprintable() or text != text.strip():
            raise ValueError(
                f"is not 1 to {_MAX_CLUSTER_NAME} printable characters without spaces at the ends"
            )
        return text

    return ValueType(f"text, at most {_MAX_CLUSTER_NAME} characters", parse)


# Options that set something. Others end the JVM (-version) or take the next word (-cp).
_JAVA_OPTION = re.compile(
    r"(?:-D|-X|-javaagent:|-agentlib:|-agentpath:|--[a-z-]+=)[A-Za-z0-9._:=,/+@%-]+", re.ASCII
)
_MAX_JAVA_OPTIONS = 4096


def java_options_type() -> ValueType:
    """JVM options between spaces; the value is a tuple of options.

    The image's start script splits JAVA_OPTS at white space and expands globs, without any way of
    quoting; hence the narrow alphabet.
    """

    def parse(text: str) -> tuple[str, ...]:
        if len(text) > _MAX_JAVA_OPTIONS:
            raise ValueError(f"is longer than {_MAX_JAVA_OPTIONS} characters")
        options = tuple(text.split())
        for option in options:
            if not _JAVA_OPTION.fullmatch(option):
                raise ValueError(
                    f"contains {option[:MAX_SHOWN]!r}: options begin with -D, -X, -javaagent: or --name= and "
                    "consist of letters, digits and ._:=,/+@%- (the image's start script can quote nothing)"
                )
        return options

    return ValueType("JVM options, separated by spaces", parse)

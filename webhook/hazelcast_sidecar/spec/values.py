"""The types of annotation values, each with a parser and its counterpart in CEL.

Every function named `*_type` makes a `ValueType`. Its `parse` raises ValueError with half a sentence
that follows the value, such as 'is not an integer from 1 to 5'. Values are data: what could be
interpreted later (by a shell's word splitting, say) is rejected here.

`admits` is the same as `parse` in CEL, for the admission policy without a webhook. Its regular
expressions are RE2, which has no full match of its own.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from hazelcast_sidecar import cel
from hazelcast_sidecar.names import (
    DNS_LABEL,
    MAX_GROUP,
    MAX_LABEL,
    MAX_SUBDOMAIN,
    MEMBER_VOLUMES,
    is_group,
    is_object_name,
)

MAX_SHOWN = 64
"""Characters of a wrong value that a message repeats."""


_CLOSE = 0.6


class ValueType(NamedTuple):
    """A type of values: how a table describes it, and how text becomes a value."""

    description: str
    parse: Callable[[str], Any]
    admits: Callable[[str], str]
    """CEL expression of a text -> CEL condition that is true if `parse` accepts the text."""
    value: Callable[[str], str] = str
    """CEL expression of such a text -> CEL expression of the value; by default the text."""


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ' (did you mean ...?)' if a known word is close, else nothing."""
    close = _closest(word, known)
    return f' (did you mean "{close}"?)' if close else ""


def _closest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that a word is most like; None if none is close.

    A long text is like none of them, and comparing it would take many times its memory.
    """
    if len(word) > MAX_SHOWN:
        return None
    return next(iter(get_close_matches(word, known, n=1, cutoff=_CLOSE)), None)


def choice_type(*choices: str) -> ValueType:
    """Make the type of one of a few words."""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    known = {choice: choice for choice in choices}

    def parse(text: str) -> str:
        if text not in known:
            folded = {choice.lower(): choice for choice in choices}
            close = _closest(text.lower(), folded) if len(text) <= MAX_SHOWN else None
            hint = f' (did you mean "{folded[close]}"?)' if close else ""
            raise ValueError(f"is none of {listed}{hint}")
        return known[text]  # itself, and not its equal: msgspec leaves out defaults that are the same object

    return ValueType(
        " or ".join(f"`{choice}`" for choice in choices),
        parse,
        lambda text: f"{text} in {cel.source(list(choices))}",
    )


def boolean_type() -> ValueType:
    """Make the type of `true` and `false`, quoted in YAML, as annotations are text."""
    words = choice_type("true", "false")
    return ValueType(
        words.description,
        lambda text: words.parse(text) == "true",
        words.admits,
        lambda text: f'{text} == "true"',
    )


_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)


def integer_type(low: int, high: int) -> ValueType:
    """Make the type of a decimal integer within bounds."""

    def parse(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"is not an integer from {low} to {high}")
        return int(text)

    return ValueType(
        f"integer, {low} to {high}",
        parse,
        lambda text: f"{cel.matches(text, _INTEGER)} && int({text}) >= {low} && int({text}) <= {high}",
        lambda text: f"int({text})",
    )


_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SECONDS = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)


def seconds(text: str) -> int:
    """Return how many seconds a time span has, which is in whole seconds, minutes, hours or days.

    Raises:
        ValueError: it is not a time span.
    """
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise ValueError('is not a time span such as "90s", "5m", "12h" or "90d"')
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def seconds_type(low: int, high: int) -> ValueType:
    """Make the type of a time span within bounds; the value is in seconds."""

    def parse(text: str) -> int:
        found = seconds(text)
        if not low <= found <= high:
            raise ValueError(f"is not between {low}s and {high}s")
        return found

    def value(text: str) -> str:
        units = cel.source(_UNIT_SECONDS)
        return f'int({text}.find("^[0-9]+")) * {units}[{text}.find("[smhd]?$")]'

    return ValueType(
        f"time span, `{low}s` to `{high}s`",
        parse,
        lambda text: f"{cel.matches(text, _SECONDS)} && {value(text)} >= {low} && {value(text)} <= {high}",
        value,
    )


_SUFFIXES = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIXES |= {suffix: Decimal(1000**power) for power, suffix in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{suffix}i": Decimal(1024**power) for power, suffix in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,9})?)(?:[eE]([+-]?[0-9]{1,2})|([a-zA-Z]{0,2}))", re.ASCII)


@lru_cache(maxsize=256)
def quantity(text: str) -> Decimal:
    """Return the number of CPUs or bytes of a Kubernetes resource quantity.

    Source: k8s.io/apimachinery `resource.Quantity`, without signs.

    Raises:
        ValueError: it is not a quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or (match[3] or "") not in _SUFFIXES:
        raise ValueError('is not a Kubernetes quantity such as "500m" or "512Mi"')
    scale = Decimal(f"1e{match[2]}") if match[2] else _SUFFIXES[match[3]]
    return Decimal(match[1]) * scale


def quantity_if_any(value: str | float) -> Decimal:
    """Return a quantity as `quantity` does, or NaN for what is none of ours.

    Signs, or more digits than anyone has memory, are for the API server to judge. NaN is equal to nothing,
    and so is a sum with it; to ask whether it is less or more would raise.
    """
    try:
        return quantity(str(value))
    except ValueError:
        return Decimal("NaN")


def quantity_type(unit: str, low: str) -> ValueType:
    """Make the type of a resource quantity of at least `low`; the value is the text as written."""

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

    suffixes = cel.source([*_SUFFIXES])
    return ValueType(
        f"quantity, from `{low}`",
        parse,
        lambda text: (
            f'{cel.matches(text, _QUANTITY)} && {text}.find("[a-zA-Z]*$") in {suffixes} '
            f"&& quantity({text}).compareTo(quantity({cel.source(low)})) >= 0"
        ),
    )


def group_type() -> ValueType:
    """Make the type of a DNS label (RFC 1123), short enough for names made of it."""

    def parse(text: str) -> str:
        if not is_group(text):
            raise ValueError(
                f"is not a name of at most {MAX_GROUP} lower-case letters, digits and '-', "
                "which begins and ends with a letter or digit"
            )
        return text

    return ValueType(
        f"DNS label, at most {MAX_GROUP} characters",
        parse,
        lambda text: f"size({text}) <= {MAX_GROUP} && {cel.matches(text, DNS_LABEL)}",
    )


def object_name_type(kind: str) -> ValueType:
    """Make the type of the name of an object of this kind: a DNS subdomain (RFC 1123)."""

    def parse(text: str) -> str:
        if not is_object_name(text):
            raise ValueError("is not the name of a Kubernetes object (a DNS subdomain, RFC 1123)")
        return text

    subdomain = re.compile(rf"{DNS_LABEL.pattern}(?:\.{DNS_LABEL.pattern})*", re.ASCII)
    return ValueType(
        f"name of a {kind} in the Pod's namespace",
        parse,
        lambda text: f"size({text}) <= {MAX_SUBDOMAIN} && {cel.matches(text, subdomain)}",
    )


def volume_name_type() -> ValueType:
    """Make the type of the name of a Pod's volume: a DNS label (RFC 1123)."""

    def parse(text: str) -> str:
        if len(text) > MAX_LABEL or not DNS_LABEL.fullmatch(text) or text in MEMBER_VOLUMES:
            raise ValueError("is not the name of a volume of the Pod's own (a DNS label, RFC 1123)")
        return text

    return ValueType(
        "name of a volume of the Pod",
        parse,
        lambda text: (
            f"size({text}) <= {MAX_LABEL} && {cel.matches(text, DNS_LABEL)} && "
            f"!({text} in {cel.source([*MEMBER_VOLUMES])})"
        ),
    )


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
    """Make the type of an image reference, by the grammar of github.com/distribution/reference."""

    def parse(text: str) -> str:
        match = _IMAGE.fullmatch(text) if len(text) <= _MAX_IMAGE else None
        if match is None or len(match["name"]) > _MAX_IMAGE_NAME:
            raise ValueError('is not an image reference such as "hazelcast/hazelcast:5.7.0"')
        return text

    # A tag or digest follows the name: the first ":" or "@" after the last "/", as a host may have a port.
    name = '{0}.find("^(?:.*/)?[^:@]*")'
    return ValueType(
        "image reference",
        parse,
        lambda text: (
            f"size({text}) <= {_MAX_IMAGE} && {cel.matches(text, _IMAGE)} "
            f"&& size({name.format(text)}) <= {_MAX_IMAGE_NAME}"
        ),
    )


_MAX_CLUSTER_NAME = 128
# As str.isprintable, and without spaces at the ends.
_PRINTABLE = r"[\pL\pM\pN\pP\pS]"
_RE2_CLUSTER_NAME = rf"{_PRINTABLE}(?:(?:{_PRINTABLE}| )*{_PRINTABLE})?"


def cluster_name_type() -> ValueType:
    """Make the type of any printable text, which members and clients get literally."""

    def parse(text: str) -> str:
        if not 0 < len(text) <= _MAX_CLUSTER_NAME or not text.isprintable() or text != text.strip():
            raise ValueError(
                f"is not 1 to {_MAX_CLUSTER_NAME} printable characters without spaces at the ends"
            )
        return text

    return ValueType(
        f"text, at most {_MAX_CLUSTER_NAME} characters",
        parse,
        lambda text: f"size({text}) <= {_MAX_CLUSTER_NAME} && {cel.matches(text, _RE2_CLUSTER_NAME)}",
    )


# Options that set something. Others end the JVM (-version) or take the next word (-cp).
_JAVA_OPTION = re.compile(
    r"(?:-D|-X|-javaagent:|-agentlib:|-agentpath:|--[a-z-]+=)[A-Za-z0-9._:=,/+@%*-]+", re.ASCII
)
# Of options that take the next word, or that have another form in this alphabet.
_OTHER_FORMS = {
    "--add-exports": "write --add-exports=MODULE/PACKAGE=ALL-UNNAMED",
    "--add-modules": "write --add-modules=MODULE",
    "--add-opens": "write --add-opens=MODULE/PACKAGE=ALL-UNNAMED",
    "-XX:OnOutOfMemoryError": "write -XX:+ExitOnOutOfMemoryError",
    "-server": "leave it out, as it is the default",
    "-verbose:gc": "write -Xlog:gc",
}
_MAX_JAVA_OPTIONS = 4096


def java_options_type() -> ValueType:
    """Make the type of JVM options between spaces; the value is a tuple of options.

    The image's start script splits JAVA_OPTS at white space, without any way of quoting; hence the narrow
    alphabet. It also expands globs; no file's name begins as an option does, so an asterisk stays one.
    """

    def parse(text: str) -> tuple[str, ...]:
        if len(text) > _MAX_JAVA_OPTIONS:
            raise ValueError(f"is longer than {_MAX_JAVA_OPTIONS} characters")
        options = tuple(text.split())
        for option in options:
            if not _JAVA_OPTION.fullmatch(option):
                if other := _OTHER_FORMS.get(option.partition("=")[0]):
                    raise ValueError(f"contains {option[:MAX_SHOWN]!r}: {other}")
                raise ValueError(
                    f"contains {option[:MAX_SHOWN]!r}: options begin with -D, -X, -javaagent: or --name= and "
                    "consist of letters, digits and ._:=,/+@%*- (the image's start script has no quoting)"
                )
        return options

    option = _JAVA_OPTION.pattern
    return ValueType(
        "JVM options, separated by spaces",
        parse,
        # CEL cannot collapse several spaces, or tabs, into one.
        lambda text: (
            f"size({text}) <= {_MAX_JAVA_OPTIONS} && {cel.matches(text, f'(?:{option}(?: {option})*)?')}"
        ),
    )

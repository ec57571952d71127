"""Scalars of YAML as kubectl reads them: text, a number, a boolean or null.

Kubernetes reads YAML 1.1 by its own copy of go-yaml v2, which is not exactly YAML 1.1: `0400` and `0o400` are
octal, `190:20` and timestamps are text, `7e2` is a number, `y` and `no` are booleans.
Source: sigs.k8s.io/yaml, goyaml.v2/resolve.go.
"""

import base64
import binascii
import ctypes
import math
import re
from functools import lru_cache

from hazelcast_sidecar.manifest_text.failures import UnreadableError

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_LONGEST_WORD = max(map(len, _WORDS))

_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))",
    re.ASCII,
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASES = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_MAX_DIGITS = 400
"""Digits of a number; with more it is not a float, and takes Python time to parse."""

_CORE = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    _CORE + "bool": (bool,),
    _CORE + "int": (int,),
    _CORE + "float": (float, int),
    _CORE + "null": (type(None),),
}


@lru_cache(4096)
def plain(text: str) -> Scalar:
    """Return what a scalar without quotes and without a tag means."""
    if len(text) <= _LONGEST_WORD and text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    """Return a number, or the text where it is none."""
    digits = text if text[0] == "." else text.replace("_", "")
    if len(digits) > _MAX_DIGITS:
        return text
    whole = _INTEGER.fullmatch(digits)
    if whole is not None and (number := _integer(whole)) is not None:
        return number
    if _FLOAT.fullmatch(digits) and math.isfinite(broken := float(digits)):
        return broken
    return text


def _integer(match: re.Match[str]) -> int | None:
    """Return an integer of 64 bits, signed or not; None where it has more."""
    base = match.lastgroup or ""
    number = int(match[base], _BASES[base])
    if match["sign"] == "-":
        number = -number
    highest = 2**63 if match["sign"] else 2**64
    return number if -(2**63) <= number < highest else None


def tagged(tag: str, text: str, *, is_plain: bool) -> Scalar:
    """Return what a scalar with a tag means.

    Raises:
        UnreadableError: the text is not of the tag's type.
    """
    if tag == _CORE + "binary":
        return _binary(text)
    if tag == _CORE + "timestamp" or not tag.startswith(_CORE):
        return text
    types = _TYPES.get(tag)
    if types is None:
        return text
    value = plain(text) if text or is_plain else text
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UnreadableError(f"{text!r:.80} is not a !!{tag.removeprefix(_CORE)}")
    return float(value) if tag == _CORE + "float" and value is not None else value


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise UnreadableError("a !!binary is not base64") from error


def as_key(value: Scalar) -> str:
    """Return a scalar as the key of a JSON object.

    Raises:
        UnreadableError: it is null.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _single(value)
        case None:
            raise UnreadableError("null is not a key")


def _single(value: float) -> str:
    """Return a number in the fewest digits that tell it from others of 32 bits, as kubectl writes keys."""
    single = ctypes.c_float(value).value
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    written = (f"{single:.{digits}e}" for digits in range(10))
    shortest = next(text for text in written if ctypes.c_float(float(text)).value == single)
    mantissa, _, exponent = shortest.partition("e")
    places = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{single:.{max(places, 0)}f}" if -4 <= int(exponent) < 6 else shortest  # noqa: PLR2004 - as in C


def is_text(text: str) -> bool:
    """Tell whether an unquoted scalar is read as the same text."""
    return isinstance(plain(text), str)

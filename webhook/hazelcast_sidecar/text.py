"""Untrusted text, escaped for display: names and values of objects end up on terminals.

Unprintable characters are escaped: an escape sequence recolours or rewrites a terminal, a control of the
writing direction shows one thing and says another, a line separator forges a line of a log. Printable is
what `str.isprintable` says.
Source: Unicode Technical Report 36, "Unicode Security Considerations".
"""

from collections.abc import Callable, Sequence

_DELETE = b"\x7f"
"""The one unprintable ASCII byte that JSON does not escape."""

_LAST_OF_FOUR_DIGITS = 0xFFFF


def in_one_line(text: str) -> str:
    """Escape what is not printable, line breaks included, as Python writes it in a literal."""
    return text if text.isprintable() else _escaped(text, _python_escape)


def some_of(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """List names, and how many there are beyond the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more


def in_lines(text: str) -> str:
    """Escape what is not printable in a text of several lines, except line breaks and tabs."""
    return _escaped(text, _python_escape, keep="\n\t")


def in_json(encoded: str) -> str:
    r"""Escape what is not printable in encoded JSON; its meaning stays the same.

    Such characters stand in strings only, where each may be written as \uXXXX, one beyond the first 65,536 as
    two surrogates (RFC 8259, 7).
    """
    return _escaped(encoded, _json_escape, keep="\n")


def in_json_line(encoded: bytes) -> bytes:
    """Escape a line of JSON in UTF-8; ASCII lines, as almost all are, cost next to nothing."""
    if encoded.isascii() and _DELETE not in encoded:
        return encoded
    return in_json(encoded.decode()).encode()


def in_yaml(dumped: str) -> str:
    r"""Escape what is not printable in YAML whose unprintable scalars all stand in double quotes.

    There each may be written as \uXXXX or \UXXXXXXXX (YAML 1.1, 5.6).
    """
    return _escaped(dumped, _yaml_escape, keep="\n")


def _escaped(text: str, escape: Callable[[str], str], keep: str = "") -> str:
    """Escape what is not printable, except some characters that structure the text."""
    unprintable = [each for each in set(text) if not each.isprintable() and each not in keep]
    return text.translate({ord(each): escape(each) for each in unprintable}) if unprintable else text


def _python_escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))


def _yaml_escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04X}" if number <= _LAST_OF_FOUR_DIGITS else f"\\U{number:08X}"

"""JSON in texts that anybody may have written, such as annotations, decoded within bounds or rejected.

A decoder raises various exceptions: for a wrong type, half a surrogate pair, brackets nested deeper than the
interpreter recurses (how deep that is differs between its versions), a number of too many digits. A reader of
such a text needs to know one thing, whether it can be used. So all of that becomes one error here, and a text
that is longer than any honest one is not decoded at all.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")

UNDECODABLE = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)
"""All exceptions of decoding JSON, for any text; a UnicodeError is a ValueError."""


class UndecodableError(msgspec.DecodeError):
    """A text that is not the expected JSON; says why in half a sentence."""


def decoder(of: type[T], most: int) -> Callable[[str], T]:
    """Make a function that decodes texts; it raises UndecodableError and nothing else.

    Args:
        of: the type to decode.
        most: maximal characters of a text.
    """
    decode = msgspec.json.Decoder(of).decode

    def bounded(text: str) -> T:
        if len(text) > most:
            raise UndecodableError(f"it has {len(text)} characters, and {most} at most are read")
        try:
            return decode(text)
        except UNDECODABLE as error:
            raise UndecodableError(_why(error)) from error

    return bounded


def _why(error: BaseException) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)

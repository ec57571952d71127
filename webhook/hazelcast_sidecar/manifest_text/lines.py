"""The lines of a text, found once: a document on one line is as long as its objects are many."""

import re
from array import array
from bisect import bisect_right

_BREAKS = ("\r\n", "\n", "\r", "\x85", "\u2028", "\u2029")
BREAK = re.compile("|".join(_BREAKS))
"""What ends a line in YAML."""
FILE_BREAK = re.compile("\\r?\\n")
"""What ends a line in a file; the others are letters to JSON, and to most people."""


def break_before(text: str, index: int) -> str:
    """Return the line break that ends at an index; empty if none does."""
    return next((each for each in _BREAKS if text.endswith(each, 0, index)), "")


class Lines:
    """The lines of a text, as YAML has them."""

    def __init__(self, text: str) -> None:
        self._starts = array("Q", [0])
        self._starts.extend(found.end() for found in BREAK.finditer(text))
        self._end = len(text)
        found = FILE_BREAK.search(text)
        self.first_break = found[0] if found else "\r" if "\r" in text else "\n"
        """How the first line of the file ends; a usual end where there is but one line."""

    def start(self, index: int) -> int:
        """Return where the line of an index begins."""
        return self._starts[bisect_right(self._starts, index) - 1]

    def after(self, index: int) -> int:
        """Return where the line behind that of an index begins; the end of the text where there is none."""
        following = bisect_right(self._starts, index)
        return self._starts[following] if following < len(self._starts) else self._end

"""Changes of a document in two turns: the second are made to the text that the first have left.

So what the first turn puts back, such as an empty list, is what the second one finds there.
"""

from collections.abc import Iterable, Sequence

from hazelcast_sidecar.manifest_text.document import Change, Changed, Document

_MAX_ATTEMPTS = 4
"""The most attempts to do what is left without the objects that are refused."""


def changed_in_turn(document: Document, first: Sequence[Change], then: Sequence[Change]) -> Changed:
    """Return a document with operations done on its objects, on each all of both turns or none."""
    refused: dict[str, str] = {}
    for _ in range(_MAX_ATTEMPTS):
        begun = _without(first, refused)
        between = document.changed(begun) if begun else None
        refused |= between.refused if between else {}
        halfway = Document(between.text, document.first_line) if between else document
        after = halfway.changed(_without(then, refused))
        refused |= after.refused
        if not any(change.path in after.refused for change in begun):
            return Changed(after.text, after.content, refused)
        # What the first turn did to an object whose second turn is refused must not be left in the text.
    after = document.changed(_without(then, [*refused, *(change.path for change in first)]))
    left = dict.fromkeys((change.path for change in first), _UNVERIFIED)
    return Changed(after.text, after.content, left | refused | after.refused)


_UNVERIFIED = "cannot be changed safely together with the other objects of its document"


def _without(changes: Iterable[Change], paths: Iterable[str]) -> list[Change]:
    left_out = set(paths)
    return [change for change in changes if change.path not in left_out]

"""A cache with one rule: of too many values, or too many bytes, those go that were not used for longest."""

import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_LARGEST = 64
"""One entry may take so small a part of the cache: a few large ones must not push out all others."""

_ENTRY_BYTES = 200
"""About what the mapping itself takes for an entry."""


class Cache(Generic[K, V]):
    """The most recently used values, by key.

    There are two generations. What is used moves to the young one; when that is full it becomes the old one,
    and what was in the old one is gone. So a use costs one look-up, as in a plain mapping; an exact order
    of uses would cost hashing the key twice.

    Keys and values consist of texts, bytes, numbers, tuples and structs.

    Args:
        entries: how many it has at most.
        size: how many bytes they take at most, keys included.
    """

    def __init__(self, entries: int, size: int) -> None:
        self._most, self._largest = (entries // 2, size // 2), size // _LARGEST
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._used = 0  # bytes that the young ones take

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return the value of a key; None where there is none."""
        kept = self._young.get(key)
        if kept is None:
            kept = self._old.pop(key, None)
            if kept is None:
                return None
            self._add(key, *kept)
        return kept[0]

    def put(self, key: K, value: V) -> None:
        """Keep the value of a key that has none, unless it is too large."""
        size = _size(key) + _size(value) + _ENTRY_BYTES
        if size <= self._largest:
            self._add(key, value, size)

    def _add(self, key: K, value: V, size: int) -> None:
        entries, total = self._most
        if len(self._young) == entries or self._used + size > total:
            self._old, self._young, self._used = self._young, {}, 0
        self._young[key] = value, size
        self._used += size


def _size(obj: object) -> int:
    """Return the bytes that an object takes at most, with all its parts; what is shared counts each time.

    Walking through it costs five times as much as looking at its JSON, which has as many separators as parts.
    """
    if isinstance(obj, (bytes, str)):
        return sys.getsizeof(obj)
    encoded = _encode(obj)
    return _WIDEST_LETTER * len(encoded) + _PART_BYTES * sum(map(encoded.count, _SEPARATORS))


_encode = msgspec.json.Encoder().encode
_SEPARATORS = (b",", b"[", b"{")
_WIDEST_LETTER = 4
"""Bytes of a letter in memory where it takes one in UTF-8: a text is as wide as the widest of its letters."""
_PART_BYTES = 88
"""Of a text, tuple or struct without what it consists of, and of the reference to it."""

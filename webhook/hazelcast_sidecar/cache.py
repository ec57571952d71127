"""A cache with one rule: with too many entries or bytes, the least recently used ones are evicted."""

import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_LARGEST = 64
"""The largest part of the cache that one entry may take: a few large ones must not evict all others."""

_ENTRY_BYTES = 200
"""The approximate overhead of an entry in the mapping."""


class Cache(Generic[K, V]):
    """The most recently used values, by key.

    There are two generations. A used entry moves to the young one; when that is full it becomes the old one,
    and the former old one is dropped. So a use costs one look-up, as in a plain mapping; an exact order of
    uses would cost hashing the key twice.

    Keys and values consist of texts, bytes, numbers, tuples and structs.

    Args:
        entries: the maximal number of entries.
        size: the maximal number of bytes, keys included.
    """

    def __init__(self, entries: int, size: int) -> None:
        self._most, self._largest = (entries // 2, size // 2), size // _LARGEST
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._used = 0  # bytes of the young generation

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return the value of a key; None if it has none."""
        kept = self._young.get(key)
        if kept is None:
            kept = self._old.pop(key, None)
            if kept is None:
                return None
            self._add(key, *kept)
        return kept[0]

    def put(self, key: K, value: V) -> None:
        """Store the value of a new key, unless it is too large."""
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

"""The panes of a row: those that are being changed as vectors, all others packed as stored.

An agent has some four hundred panes at the end of a day: a vector takes 300 bytes, packed it takes
a tenth, and most fine panes of an agent, ten seconds of one state, share one packed value.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from cc_stream.counts import Vector, add_into

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[int]).decode


def pack(vector: Mapping[int, int]) -> bytes:
    """A vector as it is stored: MessagePack of key, n, key, n and so on."""
    if len(vector) == 1:
        for key, n in vector.items():
            return _pack_one(key, n)
    return _encode([x for entry in vector.items() for x in entry])


@lru_cache(maxsize=1_024)
def _pack_one(key: int, n: int) -> bytes:
    return _encode((key, n))


def unpack(packed: bytes) -> Vector:
    """The inverse of `pack`; msgspec.DecodeError for what is none."""
    flat = iter(_decode(packed))
    return dict(zip(flat, flat, strict=True))


class Panes:
    """Pane → vector. What `items` and `between` give is not to be changed."""

    __slots__ = ("_closed", "_numbers", "_open")

    def __init__(self) -> None:
        self._open: dict[int, Vector] = {}
        # Of an open pane, what was there before it was opened: it does not count.
        self._numbers = array("q")
        self._closed: list[bytes] = []

    def add(self, pane: int, vector: Mapping[int, int]) -> None:
        """Add to a pane, which stays open."""
        add_into(self._open.get(pane) or self._opened(pane), vector)

    def add_one(self, pane: int, key: int, n: int) -> None:
        """The same for a vector of one entry."""
        total = self._open.get(pane) or self._opened(pane)
        new = total.get(key, 0) + n
        if new:
            total[key] = new
        else:
            del total[key]

    def fill(self, panes: range, key: int, n: int) -> None:
        """The same of each of these panes, one after the other; those at the end are not opened."""
        if not panes:
            return
        latest = self._numbers[-1] if self._numbers else panes[0] - 1
        if max(self._open, default=latest) < panes[0] > latest:
            self._numbers.extend(panes)
            self._closed += [_pack_one(key, n)] * len(panes)
            return
        for pane in panes:
            self.add_one(pane, key, n)

    def _opened(self, pane: int) -> Vector:
        total = self._open.get(pane)  # an empty one may be there
        if total is None:
            total = self._open[pane] = self._unpacked(pane) or {}
        return total

    def _unpacked(self, pane: int) -> Vector | None:
        numbers = self._numbers
        if not numbers or pane > numbers[-1]:
            return None
        index = bisect_left(numbers, pane)
        return unpack(self._closed[index]) if numbers[index] == pane else None

    def close(self, pane: int) -> bytes | None:
        """Pack a pane; how it is to be stored, None if it is zero."""
        total = self._open.pop(pane, None)
        index = bisect_left(self._numbers, pane)
        is_there = index < len(self._numbers) and self._numbers[index] == pane
        if total is None:
            return self._closed[index] if is_there else None
        packed = pack(total) if total else None
        if is_there and packed is not None:
            self._closed[index] = packed
        elif is_there:
            del self._numbers[index], self._closed[index]
        elif packed is not None:
            self._numbers.insert(index, pane)
            self._closed.insert(index, packed)
        return packed

    def put(self, pane: int, packed: bytes) -> None:
        """Take in a pane as `close` gave it, where none is."""
        index = bisect_left(self._numbers, pane)
        self._numbers.insert(index, pane)
        self._closed.insert(index, packed)

    def close_before(self, pane: int) -> None:
        """Pack every pane that lies before this one."""
        if not self._open:
            return
        for one in [one for one in self._open if one < pane]:
            self.close(one)

    def between(self, first: int, end: int) -> list[Vector]:
        """The vectors of the panes in `[first, end)` that are not zero."""
        numbers, opened = self._numbers, self._open
        found = []
        if numbers and numbers[-1] >= first:
            index = bisect_left(numbers, first)
            while index < len(numbers) and numbers[index] < end:
                if numbers[index] not in opened:
                    found.append(unpack(self._closed[index]))
                index += 1
        for pane, vector in opened.items():
            if first <= pane < end and vector:
                found.append(vector)
        return found

    def drop_before(self, pane: int) -> set[int]:
        """Forget every pane that lies before this one; which were there."""
        gone = {one for one in self._open if one < pane} if self._open else set()
        for one in gone:
            del self._open[one]
        numbers = self._numbers
        if numbers and numbers[0] < pane:
            index = bisect_left(numbers, pane)
            gone.update(numbers[:index])
            del numbers[:index], self._closed[:index]
        return gone

    def __iter__(self) -> Iterator[int]:
        """The numbers of all panes."""
        yield from (pane for pane in self._numbers if pane not in self._open)
        yield from self._open

    def __bool__(self) -> bool:
        """Whether there is any pane."""
        return bool(self._numbers or self._open)

    def items(self) -> Iterator[tuple[int, Vector]]:
        """Every pane that is not zero, and its vector."""
        for pane, packed in zip(self._numbers, self._closed, strict=True):
            if pane not in self._open:
                yield pane, unpack(packed)
        for pane, vector in self._open.items():
            if vector:
                yield pane, vector

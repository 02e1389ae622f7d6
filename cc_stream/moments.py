"""What is open since many moments, kept in order: a team's agents, a queue's contacts.

Of thousands a few change between two readings. To sort and add up all of them for each reading took
a twentieth of a worker's time at 10,000 seats.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from operator import mul
from typing import Final

from cc_stream.counts import BUCKET_BITS, BUCKET_MASK, Parts

MANY: Final = 64
"""Fewer are sorted sooner than they are kept in order."""


class Moments(dict[int, int]):
    """Moment → n that is never 0, read as `counts.Ordered` is. Only `add` may change it."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self, of: Mapping[int, int]) -> None:
        super().__init__(of)
        self.buckets = sorted(of)
        self.count = sum(of.values())
        self.total = self._sum(self.buckets)

    def add(self, bucket: int, n: int) -> None:
        """Add `n` to a moment; what becomes 0 is removed."""
        before = self.get(bucket, 0)
        after = before + n
        if after:
            self[bucket] = after
            if not before:
                insort(self.buckets, bucket)
        else:
            del self[bucket], self.buckets[bisect_left(self.buckets, bucket)]
        self.count += n
        self.total += n * bucket

    def before(self, bucket: int) -> int:
        """How many lie at earlier moments."""
        buckets = self.buckets
        index = bisect_left(buckets, bucket)
        if 2 * index <= len(buckets):
            return self._count(buckets[:index])
        return self.count - self._count(buckets[index:])

    def since(self, bucket: int) -> int:
        """How many lie at this moment or later."""
        return self.count - self.before(bucket)

    def first_since(self, bucket: int) -> int | None:
        """The first moment that is not earlier, None when all are."""
        index = bisect_left(self.buckets, bucket)
        return self.buckets[index] if index < len(self.buckets) else None

    def overlap(self, start: int, end: int, age: int) -> int:
        """Σ n × the overlap of `[bucket, bucket + age)` with `[start, end)`."""
        return (
            self._lasted(end)
            - self._lasted(start)
            - self._lasted(end - age)
            + self._lasted(start - age)
        )

    def _lasted(self, edge: int) -> int:
        """Σ n × max(0, edge − bucket). The smaller side is added up."""
        buckets = self.buckets
        index = bisect_left(buckets, edge)
        if 2 * index <= len(buckets):
            return edge * self._count(buckets[:index]) - self._sum(buckets[:index])
        count = self.count - self._count(buckets[index:])
        return edge * count - (self.total - self._sum(buckets[index:]))

    def _count(self, buckets: Iterable[int]) -> int:
        return sum(map(self.__getitem__, buckets))

    def _sum(self, buckets: list[int]) -> int:
        return sum(map(mul, buckets, map(self.__getitem__, buckets)))


def add_open(total: Parts, change: Mapping[int, int]) -> None:
    """`counts.add_into_parts` for what is open: of many the moments are kept in order."""
    for key, n in change.items():
        slot, bucket = key >> BUCKET_BITS, key & BUCKET_MASK
        part = total.get(slot)
        if part is None:
            total[slot] = {bucket: n}
            continue
        if type(part) is Moments:
            part.add(bucket, n)
        elif new := part.get(bucket, 0) + n:
            part[bucket] = new
            if len(part) > MANY:
                total[slot] = Moments(part)
        else:
            del part[bucket]
        if not part:
            del total[slot]

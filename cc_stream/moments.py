"""What is open since many moments, kept in order: a team's agents, a queue's contacts.

Of thousands a few change between two readings. To sort and add up all of them for each reading took
a twentieth of a worker's time at 10,000 seats.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from operator import mul
from typing import Final

from cc_stream.counts import InOrder, Parts

MANY: Final = 64
"""Fewer are sorted sooner than they are kept in order."""


class Moments(InOrder, dict[int, int]):
    """Moment → n that is never 0. Only `[]` and `del` may change it."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self, of: Mapping[int, int]) -> None:
        super().__init__(of)
        self.buckets = sorted(of)
        self.count = sum(of.values())
        self.total = self._sum(self.buckets)

    def __setitem__(self, bucket: int, n: int) -> None:
        before = self.get(bucket, 0)
        super().__setitem__(bucket, n)
        if not before:
            insort(self.buckets, bucket)
        self.count += n - before
        self.total += (n - before) * bucket

    def __delitem__(self, bucket: int) -> None:
        n = self[bucket]
        super().__delitem__(bucket)
        del self.buckets[bisect_left(self.buckets, bucket)]
        self.count -= n
        self.total -= n * bucket

    def before(self, bucket: int) -> int:
        """See InOrder. The smaller side is added up."""
        buckets = self.buckets
        index = bisect_left(buckets, bucket)
        if 2 * index <= len(buckets):
            return self._count(buckets[:index])
        return self.count - self._count(buckets[index:])

    def _lasted(self, edge: int) -> int:
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


def keep_in_order(opened: Parts) -> None:
    """Of what is open since many moments these are kept in order from now on."""
    for slot, buckets in opened.items():
        if len(buckets) > MANY and type(buckets) is not Moments:
            opened[slot] = Moments(buckets)

"""Accumulators: sparse integer vectors, a commutative group with zero, add and subtract.

A vector maps a key to a whole number that is never 0. A key is a slot and a bucket in one integer:
`slot << 42 | bucket`. The bucket is 0 for a counter or a sum, a whole second for a histogram, the
index of a name for an enumeration, and a moment in milliseconds for what is open since then.
No floats, no averages: formulas are applied when reading.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from operator import mul
from typing import Final

from msgspec import Struct

BUCKET_BITS: Final = 42
BUCKET_MASK: Final = (1 << BUCKET_BITS) - 1

Vector = dict[int, int]
Parts = dict[int, dict[int, int]]
"""A vector taken apart: slot number → bucket → n."""


class Slot(Struct, frozen=True):
    """One named number of a vector.

    `number` is stored in changelogs: never reuse or renumber one. `adds_up` says whether the slot
    may be added across entities: talk time does, agents available do not (one agent, two queues).
    `labels` names the buckets of an enumeration.
    """

    number: int
    name: str
    adds_up: bool = True
    labels: tuple[str, ...] = ()

    @property
    def key(self) -> int:
        """The vector key of bucket 0."""
        return self.number << BUCKET_BITS


def add_into(total: Vector, change: Mapping[int, int], sign: int = 1) -> None:
    """Add `sign` × `change` to `total` in place; what becomes 0 is removed."""
    if not total and sign == 1:
        total.update(change)
        return
    for key, n in change.items():
        new = total.get(key, 0) + sign * n
        if new:
            total[key] = new
        else:
            total.pop(key, None)


def total_of(vectors: Iterable[Mapping[int, int]]) -> Vector:
    """The sum of vectors; an empty sum is the zero vector `{}`."""
    total: Vector = {}
    for vector in vectors:
        add_into(total, vector)
    return total


def parts(vector: Mapping[int, int]) -> Parts:
    """Slot number → bucket → n."""
    out: Parts = {}
    for key, n in vector.items():
        slot = key >> BUCKET_BITS
        part = out.get(slot)
        if part is None:
            part = out[slot] = {}
        part[key & BUCKET_MASK] = n
    return out


def add_into_parts(total: Parts, change: Mapping[int, int], sign: int = 1) -> None:
    """Add `sign` × `change` to `total` in place; what becomes 0 is removed."""
    for key, n in change.items():
        slot, bucket = key >> BUCKET_BITS, key & BUCKET_MASK
        part = total.get(slot)
        if part is None:
            total[slot] = {bucket: sign * n}
            continue
        new = part.get(bucket, 0) + sign * n
        if new:
            part[bucket] = new
        else:
            del part[bucket]
            if not part:
                del total[slot]


def add_into_each(totals: Collection[Parts], change: Mapping[int, int]) -> None:
    """The same for several totals: the change is taken apart once."""
    # A loop of its own: for one total alone this one takes a quarter longer (measured).
    for key, n in change.items():
        slot, bucket = key >> BUCKET_BITS, key & BUCKET_MASK
        for total in totals:
            part = total.get(slot)
            if part is None:
                total[slot] = {bucket: n}
                continue
            new = part.get(bucket, 0) + n
            if new:
                part[bucket] = new
            else:
                del part[bucket]
                if not part:
                    del total[slot]


def join(split: Mapping[int, Mapping[int, int]]) -> Vector:
    """The inverse of `parts`."""
    return {
        slot << BUCKET_BITS | bucket: n
        for slot, buckets in split.items()
        for bucket, n in buckets.items()
    }


def whole_seconds(ms: int) -> int:
    """The histogram bucket of a duration: whole seconds, rounded up, so `<=` is exact."""
    return -(-ms // 1000)


class InOrder(ABC):
    """Bucket → n, read in the order of the buckets."""

    __slots__ = ()

    buckets: list[int]
    """In order."""
    count: int
    """The sum of all n."""

    @abstractmethod
    def before(self, bucket: int) -> int:
        """How many lie in lower buckets."""

    @abstractmethod
    def _lasted(self, edge: int) -> int:
        """Σ n × max(0, edge − bucket)."""

    def since(self, bucket: int) -> int:
        """How many lie in this bucket or in higher ones."""
        return self.count - self.before(bucket)

    def first_since(self, bucket: int) -> int | None:
        """The least bucket that is not lower, None when all are."""
        index = bisect_left(self.buckets, bucket)
        return self.buckets[index] if index < len(self.buckets) else None

    def overlap(self, start: int, end: int, age: int) -> int:
        """Σ n × the overlap of `[bucket, bucket + age)` with `[start, end)`."""
        # A sum over what has begun before an edge: of `edge − begin` it has lasted so long.
        return (
            self._lasted(end)
            - self._lasted(start)
            - self._lasted(end - age)
            + self._lasted(start - age)
        )


class Ordered(InOrder):
    """Bucket → n in the order of the buckets, sorted once to be asked often.

    Buckets are whole seconds of a histogram, or moments in milliseconds of what is open.
    """

    __slots__ = ("_moments", "_of", "_reached", "buckets", "count")

    def __init__(self, buckets: Mapping[int, int]) -> None:
        """`buckets` may be changed when all is read."""
        self._of = buckets
        self._moments: list[int] | None = None
        if len(buckets) == 1:  # as what is open of an agent always
            ((bucket, self.count),) = buckets.items()
            self.buckets, self._reached = [bucket], [0, self.count]
            return
        self.buckets = sorted(buckets)
        self._reached = list(accumulate(map(buckets.__getitem__, self.buckets), initial=0))
        self.count = self._reached[-1]

    def before(self, bucket: float) -> int:
        """See InOrder."""
        return self._reached[bisect_left(self.buckets, bucket)]

    def upto(self, bucket: float) -> int:
        """How many lie in this bucket or in lower ones."""
        return self._reached[bisect_right(self.buckets, bucket)]

    def percentile(self, share: float) -> int | None:
        """The nearest-rank percentile: the least bucket that at least `share` of the counts reach.

        `share` is in (0, 1]; None without counts.
        """
        if not self.count:
            return None
        return self.buckets[bisect_left(self._reached, share * self.count, 1) - 1]

    def overlap(self, start: int, end: int, age: int) -> int:
        """See InOrder."""
        if len(self.buckets) == 1:
            (begin,) = self.buckets
            return self.count * max(0, min(end, begin + age) - max(start, begin))
        if not self.buckets:
            return 0
        return super().overlap(start, end, age)

    def _lasted(self, edge: int) -> int:
        if self._moments is None:
            counts = map(self._of.__getitem__, self.buckets)
            self._moments = list(accumulate(map(mul, self.buckets, counts), initial=0))
        index = bisect_left(self.buckets, edge)
        return edge * self._reached[index] - self._moments[index]

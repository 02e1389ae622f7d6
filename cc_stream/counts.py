"""Accumulators: sparse integer vectors, a commutative group with zero, add and subtract.

A vector maps a key to a whole number that is never 0. A key is a slot and a bucket in one integer:
`slot << 42 | bucket`. The bucket is 0 for a counter or a sum, a whole second for a histogram, the
index of a name for an enumeration, and a moment in milliseconds for what is open since then.
No floats, no averages: formulas are applied when reading.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

BUCKET_BITS: Final = 42
_BUCKET_MASK: Final = (1 << BUCKET_BITS) - 1

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
        part[key & _BUCKET_MASK] = n
    return out


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


def percentile(histogram: Mapping[int, int], share: float) -> int | None:
    """The nearest-rank percentile: the least bucket that at least `share` of the counts reach.

    `share` is in (0, 1]; None without counts.
    """
    count = sum(histogram.values())
    if not count:
        return None
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= share * count:
            return bucket
    return None

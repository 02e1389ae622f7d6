"""Finds the one record that makes a stage fail.

A stage that failed may have changed half of its state, so nothing is tried again on it: the shard
is loaded anew and applies the suspected offsets in pieces, with a flush behind each. The piece that
fails then is the next suspect, down to a single record that failed alone: that one is buried.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from cc_stream.errors import CcStreamError
from cc_stream.events import Refused
from streams.stage import Record

PIECES = 16
"""So many flushes find the culprit among 16 records, one loading more among 256."""

BYTES_AN_EVENT = 512
"""Of the deltas topic so many take about as long to apply as an event does."""


class Suspect(Struct, frozen=True):
    """Offsets `[begin, end)`, one of which made a stage fail with an exception of this type.

    `alone`: it is one record, and it failed as a piece of its own.
    """

    begin: int
    end: int
    error: str
    alone: bool = False

    @property
    def refused(self) -> Refused:
        """Why its record is not counted. The type alone: a message may repeat what it holds."""
        return Refused("poison", "", self.error)

    def narrows(self, before: "Suspect") -> bool:
        """Whether the search has come closer."""
        is_within = before.begin <= self.begin and self.end <= before.end
        is_smaller = self.end - self.begin < before.end - before.begin
        return is_within and (is_smaller or self.alone > before.alone)


def suspect_of(
    working: tuple[int, int] | None, before: Suspect | None, error: BaseException
) -> Suspect | None:
    """Whom the failure of a shard accuses; None where it is no record's fault, or nothing new.

    `working` are the offsets that its stage was busy with. What cc_stream raises by itself, and a
    machine without memory, are no record's fault.
    """
    if working is None or isinstance(error, CcStreamError | MemoryError):
        return None
    begin, end = working
    if begin == end:
        return None
    found = Suspect(begin, end, type(error).__name__, end - begin == 1 and before is not None)
    return found if before is None or found.narrows(before) else None


def pieces(
    records: Sequence[Record], suspect: Suspect | None, at_most: int
) -> Iterator[tuple[int, Sequence[Record]]]:
    """The records in the pieces in which they are applied; those of the suspect apart.

    Each with its weight, which is `at_most`, or it is one record.
    """
    if suspect is None:
        groups = [records]
    else:
        step = -(-(suspect.end - suspect.begin) // PIECES)

        def piece(record: Record) -> int:
            if record.offset >= suspect.end:
                return PIECES
            return max(-1, (record.offset - suspect.begin) // step)

        groups = [list(group) for _, group in groupby(records, piece)]
    for group in groups:
        start = weight = 0
        for index, more in enumerate(map(_weight_of, group)):
            if weight and weight + more > at_most:
                yield weight, group[start:index]
                start, weight = index, 0
            weight += more
        if weight:
            yield weight, group[start:]


def _weight_of(record: Record) -> int:
    """How many events it takes as long as: one, or the deltas of a flush, which may be many."""
    return 1 + len(record.value or b"") // BYTES_AN_EVENT

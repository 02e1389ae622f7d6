"""Deltas: what a flush of a floor shard tells the boards, packed.

A batch names its source shard and its number for this destination, so a board proves that none is
missing or repeated. Vectors are filed by fine pane (or LIVE). So are closed states of agents that
are short; a longer one travels as (state, from, to) and is spread over panes by the board.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

import msgspec
from msgspec import Struct

from cc_stream.contact_log import Change
from cc_stream.counts import Vector
from cc_stream.facts import Fact, StateTime
from cc_stream.metrics.agent_time import STATE_BUCKET
from cc_stream.panes import COARSE_MS, FINE_MS, FINE_PER_COARSE, overlaps
from cc_stream.tally import LIVE, Row, tally

MAX_BATCH_BYTES: Final = 400_000
"""A record is cut at this estimate of its packed size, so that none is longer than 512 KiB."""
SHORT_MS: Final = 60_000
"""A state that lasted no longer is told by its panes, and added up for its team with the rest."""

Counted = tuple[Row, int, Vector]
"""What a row counts at a fine pane, or at LIVE."""
Time = tuple[Row, str, int, int, int]
"""A closed state of an agent: (row, state, from_ms, to_ms, n)."""

_encode = msgspec.msgpack.Encoder().encode


class Batch(Struct, array_like=True, gc=False):
    """One record of the deltas topic.

    `vectors`: (row, pane or LIVE, key → n). `times`: (row, state, from_ms, to_ms, n).
    `reference`: what `ReferenceData.dump` gives, on change. `sources`: the latest event time of
    each source. `arrived_ms`: broker time of its latest event, None when nothing arrived.
    `history`: the events lie far behind their broker time; they count, but raise no alert.
    `events`: how many were admitted since the last flush, told to one board only.
    `generation_ms`: when the source shard's state was begun; another one begins at 1 again.
    """

    source: str
    generation_ms: int
    number: int
    sources: dict[str, int]
    arrived_ms: int | None
    history: bool
    events: int
    vectors: list[Counted]
    times: list[Time]
    reference: list[Any]


class Tick(Struct, array_like=True, tag="tick"):
    """Asks every board for one full tick at exactly `as_of_ms` (`cc-stream demo` compares then)."""

    as_of_ms: int


_decode = msgspec.msgpack.Decoder(Batch).decode


def encode(batch: Batch) -> bytes:
    """A batch as it lies on the topic."""
    return _encode(batch)


def decode(value: bytes) -> Batch:
    """The batch that `encode` wrote; msgspec.DecodeError for anything else."""
    return _decode(value)


class Deltas:
    """What a shard has learned since its last flush: facts by tenant, told or taken back.

    A fact that is taken back by the flush that told it costs nothing more: it is the same object.
    What lies before `fine_from_ms` can be in no rolling window: it is filed at the first fine pane
    of its coarse one, so that a day of history is few entries.
    """

    __slots__ = ("facts", "fine_from_ms")

    def __init__(self, fine_from_ms: int = 0) -> None:
        self.fine_from_ms = fine_from_ms
        self.facts: dict[str, tuple[dict[int, Fact], list[Fact]]] = {}

    def take(self, change: Change, tenant: str) -> None:
        """Add what a log tells now, and take back what it no longer tells."""
        facts = self.facts.get(tenant)
        if facts is None:
            facts = self.facts[tenant] = ({}, [])
        told, taken_back = facts
        for fact in change.taken_back:
            if told.pop(id(fact), None) is None:
                taken_back.append(fact)
        for fact in change.added:
            told[id(fact)] = fact

    def pane_of(self, moment_ms: int) -> int:
        """Where a moment is filed."""
        if moment_ms >= self.fine_from_ms:
            return moment_ms // FINE_MS
        return LIVE if moment_ms == LIVE else moment_ms // COARSE_MS * FINE_PER_COARSE

    def worth(self) -> tuple[dict[Row, dict[int, Vector]], list[Time]]:
        """Row → pane → vector, whose entries may be 0; and the closed states that are long."""
        rows: dict[Row, dict[int, Vector]] = {}
        times: list[Time] = []
        for tenant, fact, n in self._counted():
            if type(fact) is StateTime:
                row: Row = ("agent", tenant, fact.agent, fact.team)
                if fact.end - fact.start > SHORT_MS or fact.start < self.fine_from_ms:
                    times.append((row, fact.state, fact.start, fact.end, n))
                else:
                    _add_time(rows.setdefault(row, {}), fact, n)
                continue
            moment, worth = tally(fact, tenant)
            if not worth:
                continue
            pane = self.pane_of(moment)
            for row, vector in worth:
                panes = rows.get(row)
                if panes is None:
                    panes = rows[row] = {}
                total = panes.get(pane)
                if total is None:
                    panes[pane] = vector.copy() if n > 0 else {k: -v for k, v in vector.items()}
                    continue
                for slot, value in vector.items():
                    total[slot] = total.get(slot, 0) + n * value
        return rows, times

    def _counted(self) -> Iterator[tuple[str, Fact, int]]:
        for tenant, (told, taken_back) in self.facts.items():
            for fact in told.values():
                yield tenant, fact, 1
            for fact in taken_back:
                yield tenant, fact, -1


def _add_time(panes: dict[int, Vector], fact: StateTime, n: int) -> None:
    key = STATE_BUCKET[fact.state]
    for pane, ms in overlaps(fact.start, fact.end, FINE_MS):
        total = panes.setdefault(pane, {})
        total[key] = total.get(key, 0) + n * ms


def board_of(row: Row, boards: int) -> int:
    """The board partition of a row: its team decides for an agent, its own name otherwise."""
    if row[0] == "agent":
        return _board_of("team", row[1], row[3], boards)
    return _board_of(row[0], row[1], row[2], boards)


@lru_cache(16_384)
def _board_of(kind: str, tenant: str, name: str, boards: int) -> int:
    return crc32(f"{kind}/{tenant}/{name}".encode()) % boards


def split(deltas: Deltas, boards: int) -> dict[int, list[tuple[list[Any], list[Any]]]]:
    """Board → parts of (vectors, times), each one record; no board without a part."""
    vectors: dict[int, list[Any]] = {}
    times: dict[int, list[Any]] = {}
    rows, closed = deltas.worth()
    for row, panes in rows.items():
        out = vectors.setdefault(board_of(row, boards), [])
        for pane, vector in panes.items():
            if 0 in vector.values():
                left = {key: n for key, n in vector.items() if n}
                if left:
                    out.append((row, pane, left))
            else:
                out.append((row, pane, vector))
    for time in closed:
        times.setdefault(board_of(time[0], boards), []).append(time)
    parts = {
        board: [(part, []) for part in _cut(vectors.get(board, []))]
        + [([], part) for part in _cut(times.get(board, []))]
        for board in sorted(vectors.keys() | times.keys())
    }
    # What was added and taken back leaves an empty list behind.
    return {board: of_it for board, of_it in parts.items() if of_it}


def _cut(entries: list[Any]) -> Iterator[list[Any]]:
    """The entries in parts of about MAX_BATCH_BYTES."""
    part: list[Any] = []
    size = 0
    for entry in entries:
        part.append(entry)
        size += _bytes_of(entry)
        if size >= MAX_BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _bytes_of(entry: Any) -> int:
    """At most what the entry takes packed: names in UTF-8, whole numbers of 9 bytes."""
    names, last = entry[0], entry[2]
    numbers = 2 * len(last) if type(last) is dict else 4
    return 4 * len("".join(names)) + 5 * len(names) + 9 * numbers + 16

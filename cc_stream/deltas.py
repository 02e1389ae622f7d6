"""Deltas: what a flush of a floor shard tells the boards, packed.

A batch names its source shard and its number for this destination, so a board proves that none is
missing or repeated. Vectors are filed by fine pane (or LIVE); closed agent states travel as
(state, from, to) and are spread over panes by the board.
"""

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec
from msgspec import Struct

from cc_stream.facts import Attribution, Fact, StateTime
from cc_stream.panes import FINE_MS
from cc_stream.tally import LIVE, Row, tally

if TYPE_CHECKING:
    from cc_stream.counts import Vector

MAX_BATCH_ENTRIES: Final = 4_000
"""Rows × panes of one record: below 512 KiB."""

_encode = msgspec.msgpack.Encoder().encode


class Batch(Struct, array_like=True, gc=False):
    """One record of the deltas topic.

    `vectors`: (row, pane or LIVE, [key, n, key, n, …]). `times`: (row, state, from_ms, to_ms, n).
    `reference`: what `ReferenceData.dump` gives, on change. `sources`: the latest event
    time of each source. `arrived_ms`: broker time of its latest event, None when nothing arrived. `history`:
    the events lie far behind their broker time; they count, but raise no alert. `events`: how many
    were admitted since the last flush, told to one board only.
    """

    source: str
    number: int
    sources: dict[str, int]
    arrived_ms: int | None
    history: bool
    events: int
    vectors: list[tuple[list[str], int, list[int]]]
    times: list[tuple[list[str], str, int, int, int]]
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
    """The sum of what a shard has learned since its last flush."""

    __slots__ = ("times", "vectors")

    def __init__(self) -> None:
        self.vectors: dict[Row, dict[int, Vector]] = {}
        self.times: dict[tuple[Row, str, int, int], int] = {}

    def add(self, fact: Fact, tenant: str, sign: int, attribution: Attribution = "event") -> None:
        """Add a fact, or take it back with `sign` −1."""
        if type(fact) is StateTime:
            agent_row: Row = ("agent", tenant, fact.agent, fact.team)
            key = (agent_row, fact.state, fact.start, fact.end)
            n = self.times.get(key, 0) + sign
            if n:
                self.times[key] = n
            else:
                del self.times[key]
            return
        for row, moment, vector in tally(fact, tenant, attribution):
            pane = LIVE if moment == LIVE else moment // FINE_MS
            panes = self.vectors.get(row)
            if panes is None:
                panes = self.vectors[row] = {}
            total = panes.get(pane)
            if total is None:
                panes[pane] = vector if sign > 0 else {slot: -n for slot, n in vector.items()}
            elif sign > 0:
                for slot, value in vector.items():
                    total[slot] = total.get(slot, 0) + value
            else:
                for slot, value in vector.items():
                    total[slot] = total.get(slot, 0) - value


def group_of(row: Row) -> str:
    """What decides a row's board: its team for an agent, its own name otherwise."""
    kind, tenant, name, *team = row
    if kind == "agent":
        return f"team/{tenant}/{team[0]}"
    return f"{kind}/{tenant}/{name}"


def board_of(row: Row, boards: int) -> int:
    """The board partition of a row."""
    return crc32(group_of(row).encode()) % boards


def split(deltas: Deltas, boards: int) -> dict[int, list[tuple[list[Any], list[Any]]]]:
    """Board → batches of (vectors, times), none with more than MAX_BATCH_ENTRIES entries."""
    vectors: dict[int, list[Any]] = {}
    times: dict[int, list[Any]] = {}
    for row, panes in deltas.vectors.items():
        out = vectors.setdefault(board_of(row, boards), [])
        for pane, vector in panes.items():
            flat = [x for key, n in vector.items() if n for x in (key, n)]
            if flat:
                out.append((row, pane, flat))
    for (row, state, start, end), n in deltas.times.items():
        times.setdefault(board_of(row, boards), []).append((row, state, start, end, n))
    batches: dict[int, list[tuple[list[Any], list[Any]]]] = {}
    for board in sorted(vectors.keys() | times.keys()):
        v, t = vectors.get(board, []), times.get(board, [])
        size = max(len(v), len(t))
        batches[board] = [
            (v[i : i + MAX_BATCH_ENTRIES], t[i : i + MAX_BATCH_ENTRIES])
            for i in range(0, size, MAX_BATCH_ENTRIES)
        ]
    return batches

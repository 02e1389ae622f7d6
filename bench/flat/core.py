"""What our engine does with calls, without the engine: decode, combine, pack; add to windows."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Protocol
from zlib import crc32

import msgspec
from msgspec import Struct

from bench.flat.calls import PANE_MS, Pane, Sums


class Call(Struct, gc=False):
    """One completed call."""

    id: str
    agent: str
    team: str
    queue: str
    handle_ms: int
    wait_ms: int
    time_ms: int


Row = tuple[str, str, int, int, int, int, int]
"""Agent, team, start of the window, and its sums."""


class Batch(Struct, array_like=True, gc=False):
    """What a flush of a floor shard tells one board; numbered by source shard and board."""

    source: str
    number: int
    calls: int
    rows: list[Row]


class Valued(Protocol):
    """What is read of a record."""

    @property
    def value(self) -> bytes | None:
        """A call as JSON."""


_calls: Final = msgspec.json.Decoder(Call)
encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(Batch).decode


def calls_of(records: Sequence[Valued]) -> list[Call]:
    """The calls of a chunk, decoded at once; msgspec.DecodeError where one is none."""
    return _calls.decode_lines(b"\n".join([record.value or b"" for record in records]))


class Combined:
    """What a floor shard has learned since its last flush, by agent and window."""

    __slots__ = ("calls", "sums")

    def __init__(self) -> None:
        self.calls = 0
        self.sums: dict[tuple[str, str, int], Sums] = {}

    def add(self, calls: list[Call]) -> None:
        """Add calls."""
        known = self.sums
        for call in calls:
            key = (call.agent, call.team, call.time_ms // PANE_MS)
            sums = known.get(key)
            if sums is None:
                known[key] = [1, call.handle_ms, call.wait_ms, call.wait_ms]
            else:
                sums[0] += 1
                sums[1] += call.handle_ms
                sums[2] += call.wait_ms
                if call.wait_ms > sums[3]:  # noqa: PLR1730 - a third of the time of max()
                    sums[3] = call.wait_ms
        self.calls += len(calls)

    def split(self, boards: int) -> dict[int, list[Row]]:
        """Board → rows: an agent's goes with the team."""
        out: dict[int, list[Row]] = {}
        for (agent, team, pane), (count, handle_ms, wait_ms, longest_ms) in self.sums.items():
            row = (agent, team, pane * PANE_MS, count, handle_ms, wait_ms, longest_ms)
            out.setdefault(_board_of(team, boards), []).append(row)
        return out


@cache
def _board_of(team: str, boards: int) -> int:
    return crc32(team.encode()) % boards


class Panes:
    """The windows of a board shard, and which were touched since the last flush."""

    __slots__ = ("all", "touched")

    def __init__(self) -> None:
        self.all: dict[Pane, Sums] = {}
        self.touched: set[Pane] = set()

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows to their agents and teams."""
        for agent, team, start_ms, count, handle_ms, wait_ms, longest_ms in rows:
            for pane in (("agent", agent, start_ms), ("team", team, start_ms)):
                sums = self.all.get(pane)
                if sums is None:
                    self.all[pane] = [count, handle_ms, wait_ms, longest_ms]
                else:
                    sums[0] += count
                    sums[1] += handle_ms
                    sums[2] += wait_ms
                    if longest_ms > sums[3]:  # noqa: PLR1730 - the same
                        sums[3] = longest_ms
                self.touched.add(pane)

    def take_touched(self) -> list[tuple[Pane, Sums]]:
        """What has to be stored."""
        touched, self.touched = self.touched, set()
        return [(pane, self.all[pane]) for pane in touched]

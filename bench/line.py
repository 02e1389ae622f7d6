"""Floor and board in memory: what a shard of each does with records, without a broker.

For what does not hang on Kafka: the patterns of state, bytes, and how cost grows.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from bench.inputs import Sent
from cc_stream.config import load_settings
from cc_stream.events import to_ms
from cc_stream.installation import limits_of
from cc_stream.telemetry import Telemetry
from cc_stream.topics import topics
from streams.board import Board, board_plan
from streams.floor import Calls, Plan
from streams.stage import Write

FLUSH: Final = 2_000
"""Records between two flushes: a tenth of a second at 20,000 a second."""
CHUNK: Final = 250


class Rec(Struct):
    """A record as a stage is given it."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int
    topic: str = "calls"
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class _Happened(Struct):
    time: datetime


_happened: Final = msgspec.json.Decoder(_Happened).decode


def records_of(sent: Iterable[Sent]) -> Iterator[Rec]:
    """As they lie on a topic of one partition, each arrived at its own time."""
    for offset, (_, key, value) in enumerate(sent):
        yield Rec(key, value, to_ms(_happened(value).time), offset)


class Line:
    """One shard of calls and one board shard; the clock is the time of the latest record."""

    def __init__(self, begun_ms: int) -> None:
        self.topics = topics(calls=1, agents=1, board=1)
        settings = load_settings()
        self.calls = Calls(Plan(self.topics, limits_of(settings), Telemetry()), 0)
        self.board = Board(board_plan(settings, self.topics), 0, begun_ms)
        self.offset = 0

    def feed(self, records: Sequence[Rec]) -> list[Write]:
        """Count records, and flush now and then; everything that the stages wrote."""
        written = []
        for start in range(0, len(records), FLUSH):
            part = records[start : start + FLUSH]
            for at in range(0, len(part), CHUNK):
                self.calls.apply(part[at : at + CHUNK])
            written += self._flush(part[-1].timestamp)
        return written

    def _flush(self, now_ms: int) -> list[Write]:
        writes = list(self.calls.cut(now_ms).writes)
        told = [
            Rec(None, write.value, now_ms, self.offset + n)
            for n, write in enumerate(w for w in writes if w.topic == self.topics.deltas.name)
        ]
        if told:
            self.offset += len(told)
            self.board.apply(told)
        if self.board.is_dirty(now_ms):
            writes += self.board.cut(now_ms).writes
        return writes

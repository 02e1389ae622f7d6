"""Flat work as two stages of our engine: state, changelog, numbered deltas, exactly once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from bench.flat.calls import Pane, Sums
from bench.flat.core import Batch, Combined, Panes, calls_of, decode, encode
from cc_stream.errors import CcStreamError
from cc_stream.events import Refused
from cc_stream.topics import Topic
from streams.stage import Cut, Record, Write

COMMIT_MS: Final = 1_000
"""As the boards of the product: `board_commit_seconds`."""

_unpack_key: Final = msgspec.msgpack.Decoder(tuple[str, str, int]).decode
_unpack_sums: Final = msgspec.msgpack.Decoder(list[int]).decode


class FlatTopics(Struct, frozen=True):
    """What the two stages read and write; the names decide who loads first (`Owner.assign`)."""

    calls: Topic
    floor_changelog: Topic
    deltas: Topic
    panes_changelog: Topic


class Floor:
    """Combines calls by agent and window, and tells the boards at every flush."""

    name = "floor"
    data_as_of_ms = 0

    def __init__(self, topics: FlatTopics, partition: int) -> None:
        self.topics = topics
        self.writes_to = (topics.deltas.name,)
        self.source = f"floor-{partition}"
        self.numbers = [0] * topics.deltas.partitions
        self.combined = Combined()
        self.counted = 0

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage: nothing is kept but the position."""
        self.numbers = list(memory["numbers"])
        yield from (None for _ in items)

    def started(self, _generation_ms: int, _offset: int) -> None:
        """See Stage."""

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        self.combined.add(calls_of(records))
        self.counted += len(records)

    def bury(self, record: Record, refused: Refused) -> None:
        """See Stage.

        Raises:
            CcStreamError: always. Flat work has no dead letters.
        """
        raise CcStreamError(f"the record at {record.offset} cannot be read: {refused.detail}")

    def is_dirty(self, _now_ms: int) -> bool:
        """See Stage."""
        return self.combined.calls > 0

    def hurry(self) -> None:
        """See Stage. What is dirty waits for nothing here."""

    def cut(self, _now_ms: int) -> Cut:
        """See Stage."""
        combined, self.combined = self.combined, Combined()
        told, writes = combined.calls, []
        for board, rows in combined.split(len(self.numbers)).items():
            self.numbers[board] += 1
            batch = Batch(self.source, self.numbers[board], told, rows)
            told = 0  # the calls of a flush are told to one board
            writes.append(Write(self.topics.deltas.name, board, None, encode(batch)))
        return Cut(writes, {"numbers": self.numbers}, _nothing)


class Board:
    """Keeps the windows of agents and teams."""

    name = "board"
    data_as_of_ms = 0
    writes_to = ()

    def __init__(self, topics: FlatTopics, partition: int) -> None:
        self.topics = topics
        self.partition = partition
        self.numbers: dict[str, int] = {}
        self.panes = Panes()
        self.counted = self.committed_at_ms = 0

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        self.numbers = dict(memory["numbers"])
        for key, value in items:
            self.panes.all[_unpack_key(key)] = _unpack_sums(value)
            yield

    def started(self, _generation_ms: int, _offset: int) -> None:
        """See Stage."""

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        for record in records:
            if record.value is not None:
                self._add(decode(record.value))

    def _add(self, batch: Batch) -> None:
        known = self.numbers.get(batch.source, 0)
        if batch.number <= known:
            return
        if batch.number > known + 1:
            raise CcStreamError(f"{batch.source}: batch {batch.number} follows {known}")
        self.numbers[batch.source] = batch.number
        self.panes.add(batch.rows)
        self.counted += batch.calls

    def bury(self, record: Record, refused: Refused) -> None:
        """See Stage.

        Raises:
            CcStreamError: always. Flat work has no dead letters.
        """
        raise CcStreamError(f"the record at {record.offset} cannot be read: {refused.detail}")

    def is_dirty(self, now_ms: int) -> bool:
        """See Stage."""
        return bool(self.panes.touched) and now_ms - self.committed_at_ms >= COMMIT_MS

    def hurry(self) -> None:
        """See Stage."""
        self.committed_at_ms = 0

    def cut(self, now_ms: int) -> Cut:
        """See Stage."""
        self.committed_at_ms = now_ms
        writes = [self._write(pane, sums) for pane, sums in self.panes.take_touched()]
        return Cut(writes, {"numbers": self.numbers}, _nothing)

    def _write(self, pane: Pane, sums: Sums) -> Write:
        changelog = self.topics.panes_changelog.name
        return Write(changelog, self.partition, encode(pane), encode(sums))


def _nothing() -> None:
    """Nothing waits for a commit."""

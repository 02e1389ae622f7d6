"""Reference data is copied, in order, into every partition of the event topics.

So every floor shard meets a change at one place in its own order, and so does every replay.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from cc_stream.contracts import decode_chunk
from cc_stream.dead_letters import Letter, closed_letter, dead_letter
from cc_stream.events import REFERENCE_EVENTS, Refused
from streams.floor.intake import Plan
from streams.stage import Cut, Placed, Record, Write, placed


class Copy:
    """The stage of the reference topic. It keeps no state but its position."""

    name = "reference"
    data_as_of_ms = 0

    def __init__(self, plan: Plan, partition: int) -> None:
        self.plan = plan
        self.partition = partition
        self.writes: list[Write] = []
        self.dirty = False

    @property
    def writes_to(self) -> Collection[str]:
        """See Stage."""
        topics = self.plan.topics
        return (topics.calls.name, topics.agents.name, topics.dead_letters.name)

    def restore(
        self, _memory: dict[str, Any], _items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        return iter(())

    def started(self, _generation_ms: int, _offset: int) -> None:
        """See Stage."""

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        outcomes, unknown_fields = decode_chunk(records)
        refused: Counter[str] = Counter()
        copied = 0
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(outcome, REFERENCE_EVENTS):
                copied += 1
                self._copy(record)
                closed = closed_letter(self._placed(record))
                if closed is not None:
                    self._write(closed)
                continue
            fault = outcome if isinstance(outcome, Refused) else Refused("wrong_topic", "$.type")
            refused[fault.rule] += 1
            self._write(dead_letter(fault, self._placed(record)))
        self.dirty = True
        self.plan.counts.decoded(self.name, len(records), unknown_fields)
        self.plan.counts.verdicts(self.name, Counter(Learned=copied), refused)

    def _copy(self, record: Record) -> None:
        for topic in (self.plan.topics.calls, self.plan.topics.agents):
            for partition in range(topic.partitions):
                copied = Write(topic.name, partition, record.key, record.value, record.headers)
                self.writes.append(copied)

    def bury(self, record: Record, refused: Refused) -> None:
        """See Stage."""
        self._write(dead_letter(refused, self._placed(record)))
        self.dirty = True
        self.plan.counts.decoded(self.name, 1, 0)
        self.plan.counts.verdicts(self.name, Counter(), Counter([refused.rule]))

    def _placed(self, record: Record) -> Placed:
        return placed(record, self.plan.topics.reference.name, self.partition)

    def _write(self, letter: Letter) -> None:
        topic = self.plan.topics.dead_letters.name
        self.writes.append(Write(topic, None, letter.key, letter.value, letter.headers))

    def is_dirty(self, _now_ms: int) -> bool:
        """See Stage."""
        return self.dirty

    def hurry(self) -> None:
        """See Stage. What is dirty waits for nothing here."""

    def cut(self, _now_ms: int) -> Cut:
        """See Stage."""
        writes, self.writes = self.writes, []
        self.dirty = False
        return Cut(writes, {}, lambda: None)

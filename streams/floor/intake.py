"""What both floor stages share: decoding, admission, deltas, dead letters, reference data."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from cc_stream.admit import Admitted, Ignored, Learned, Ledger, Limits, Repeated, Verdict
from cc_stream.contracts import decode_chunk
from cc_stream.dead_letters import Letter, closed_letter, dead_letter
from cc_stream.deltas import Batch, Deltas, encode, split
from cc_stream.events import Event, Refused
from cc_stream.topics import Topic, Topics
from streams.stage import RESTORED_AT_ONCE, Cut, Placed, Record, Write, placed

FINE_FOR_MS: Final = 2 * 3_600_000
"""What is older than this at its arrival can be in no rolling window of a board (an hour)."""
HISTORY_MS: Final = 300_000
"""Events that lie this far behind their broker time are history: no alerts from them."""
KINDS: Final = (Admitted, Refused, Repeated, Learned, Ignored)
"""The verdicts, for counting."""
LOG, REFERENCE, REPORTED = b"c", b"r", b"q"
"""The first part of a changelog key: a log, reference data, what a source reports of a queue."""

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode


class FloorCounts(Protocol):
    """Where a floor stage reports what it saw (telemetry)."""

    def decoded(self, stage: str, records: int, unknown_fields: int) -> None:
        """Records taken in, and fields that were ignored."""

    def verdicts(self, stage: str, by_kind: Counter[str], refused: Counter[str]) -> None:
        """How many of each verdict, and dead letters by rule."""


class Plan(Struct, frozen=True):
    """What a floor shard needs to know of the installation."""

    topics: Topics
    limits: Limits
    counts: FloorCounts


class Intake:
    """What both stages share: admission, deltas, dead letters, reference data."""

    name: str

    def __init__(self, plan: Plan, source: Topic, partition: int, changelog: str) -> None:
        self.plan = plan
        self.source = source
        self.partition = partition
        self.changelog = changelog
        self.boards = plan.topics.deltas.partitions
        self.ledger = Ledger(plan.limits, (partition, source.partitions))
        self.deltas = Deltas()
        self.numbers = [0] * self.boards
        self.letters: list[Write] = []
        self.learned: set[tuple[str, str, str]] = set()
        self.arrived_ms: int | None = None
        self.history = False
        self.admitted = 0
        self.generation_ms = 0
        self.dirty = False

    @property
    def writes_to(self) -> Collection[str]:
        """See Stage."""
        return (self.plan.topics.deltas.name, self.plan.topics.dead_letters.name)

    @property
    def data_as_of_ms(self) -> int:
        """See Stage."""
        return self.ledger.latest_ms

    def started(self, generation_ms: int, _offset: int) -> None:
        """See Stage."""
        self.generation_ms = generation_ms

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        outcomes, unknown_fields = decode_chunk(records)
        self.deltas.fine_from_ms = records[0].timestamp - FINE_FOR_MS
        kinds: dict[type, int] = dict.fromkeys(KINDS, 0)
        refused: Counter[str] = Counter()
        admit, take, touched = self._admit, self.deltas.take, self._touched
        for record, outcome in zip(records, outcomes, strict=True):
            verdict = outcome if type(outcome) is Refused else admit(outcome, record)
            kinds[type(verdict)] += 1
            if type(verdict) is Admitted:
                take(verdict.change, verdict.log[0])
                touched(verdict)
            elif type(verdict) is Refused:
                refused[verdict.rule] += 1
                self._bury(dead_letter(verdict, self._placed(record)))
            elif type(verdict) is Learned:
                self.learned.add(self.ledger.reference.entity_of(outcome))
            if record.headers and type(verdict) is not Refused:
                self._bury(closed_letter(self._placed(record)))
        self.admitted += kinds[Admitted]
        self._arrived(records[-1].timestamp, something=kinds[Admitted] > 0)
        self.dirty = True
        by_kind = Counter({kind.__name__: n for kind, n in kinds.items() if n})
        self.plan.counts.decoded(self.name, len(records), unknown_fields)
        self.plan.counts.verdicts(self.name, by_kind, refused)

    def _admit(self, event: Event, record: Record) -> Verdict:
        raise NotImplementedError

    def _touched(self, verdict: Admitted) -> None:
        raise NotImplementedError

    def bury(self, record: Record, refused: Refused) -> None:
        """See Stage."""
        self._bury(dead_letter(refused, self._placed(record)))
        self.dirty = True
        self.plan.counts.decoded(self.name, 1, 0)
        self.plan.counts.verdicts(self.name, Counter(Refused=1), Counter([refused.rule]))

    def _placed(self, record: Record) -> Placed:
        return placed(record, self.source.name, self.partition)

    def _bury(self, letter: Letter | None) -> None:
        """Write it with the rest; what closes a letter comes as a letter, too."""
        if letter is not None:
            topic = self.plan.topics.dead_letters.name
            self.letters.append(Write(topic, None, letter.key, letter.value, letter.headers))

    def _arrived(self, broker_ms: int, *, something: bool) -> None:
        if something:
            self.arrived_ms = broker_ms
            self.history = broker_ms - self.ledger.latest_ms > HISTORY_MS

    def is_dirty(self, _now_ms: int) -> bool:
        """See Stage."""
        return self.dirty

    def hurry(self) -> None:
        """See Stage. What is dirty waits for nothing here."""

    def cut(self, _now_ms: int) -> Cut:
        """See Stage."""
        writes = self._cut_logs() + self._cut_reference() + self.letters
        self.letters = []
        writes += self._cut_deltas()
        self.dirty = False
        memory = {"numbers": self.numbers, "streams": self.ledger.stream_ms}
        return Cut(writes, memory, nothing)

    def _cut_logs(self) -> list[Write]:
        raise NotImplementedError

    def _cut_deltas(self) -> list[Write]:
        batches = split(self.deltas, self.boards)
        reference = self._reference_for_boards()
        if reference:
            for board in range(self.boards):
                batches.setdefault(board, [([], [])])
        writes = []
        for board, parts in batches.items():
            for index, (vectors, times) in enumerate(parts):
                self.numbers[board] += 1
                batch = Batch(
                    f"{self.name}-{self.partition}",
                    self.generation_ms,
                    self.numbers[board],
                    dict(self.ledger.stream_ms),
                    self.arrived_ms,
                    self.history,
                    self.admitted,
                    vectors,
                    times,
                    reference if index == 0 else [],
                )
                writes.append(Write(self.plan.topics.deltas.name, board, None, encode(batch)))
                self.admitted = 0
        self.deltas = Deltas()
        self.arrived_ms = None
        self.learned.clear()
        return writes

    def _reference_for_boards(self) -> list[Any]:
        return []

    def _cut_reference(self) -> list[Write]:
        return [
            Write(self.changelog, self.partition, key_of_state(REFERENCE, *entity), pack(changes))
            for entity in sorted(self.learned)
            for changes in [self.ledger.reference.dump_one(entity)]
        ]

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        self.numbers = list(memory["numbers"])
        self.ledger.stream_ms = dict(memory["streams"])
        for count, (key, value) in enumerate(items):
            kind, *names = unpack(key)
            if kind == LOG:
                self._restore_log(names, value)
            elif kind == REFERENCE:
                self.ledger.reference.restore([(*names, unpack(value))])
            else:
                self.ledger.reported[names[0], names[1]] = tuple(unpack(value))
            if count % RESTORED_AT_ONCE == 0:
                yield

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        raise NotImplementedError


def key_of_state(kind: bytes, *names: str | int) -> bytes:
    """The changelog key of something."""
    return pack((kind, *names))


def nothing() -> None:
    """Nothing waits for the commit of a floor shard."""

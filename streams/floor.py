"""The floor: events of one partition become changes of contributions.

Two stages with one way of working: `Calls` keeps contacts, `Agents` keeps timelines. Both admit in
offset order, put what changed into deltas, and write the touched logs to their changelog.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

import msgspec
import orjson
from msgspec import Struct

from cc_stream import agent as agent_timeline
from cc_stream import contact_log
from cc_stream.admit import (
    Admitted,
    Learned,
    Ledger,
    Limits,
    Verdict,
    admit_agent,
    admit_call,
)
from cc_stream.agent import Agent
from cc_stream.contact_log import Contact
from cc_stream.contact_record import contact_record
from cc_stream.contracts import Decoded, decode_chunk
from cc_stream.dead_letters import dead_letter
from cc_stream.deltas import Batch, Deltas, encode, split
from cc_stream.events import AGENT_EVENTS, Event, Refused, key_of
from cc_stream.topics import Topics
from streams.stage import Cut, Record, Write

HISTORY_MS: Final = 300_000
"""Events that lie this far behind their broker time are history: no alerts from them."""
AT_HAND: Final = 20_000
"""Contacts of a shard that stay decoded; the rest lies packed until it is touched."""
SWEEP_STEP_MS: Final = 60_000

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode

_LOG, _REFERENCE, _REPORTED = b"c", b"r", b"q"


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


class _Floor:
    """What both stages share: admission, deltas, dead letters, reference data."""

    name: str

    def __init__(self, plan: Plan, partition: int, partitions: int, changelog: str) -> None:
        self.plan = plan
        self.partition = partition
        self.changelog = changelog
        self.boards = plan.topics.deltas.partitions
        self.ledger = Ledger(plan.limits, (partition, partitions))
        self.deltas = Deltas()
        self.numbers = [0] * self.boards
        self.letters: list[Write] = []
        self.learned: set[tuple[str, str, str]] = set()
        self.arrived_ms: int | None = None
        self.history = False
        self.admitted = 0
        self.dirty = False

    @property
    def data_as_of_ms(self) -> int:
        """See Stage."""
        return self.ledger.latest_ms

    def started(self, _generation_ms: int, _offset: int) -> None:
        """See Stage."""

    def apply(self, records: Sequence[Record]) -> None:
        """See Stage."""
        outcomes, unknown_fields = decode_chunk(records)
        kinds: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for record, outcome in zip(records, outcomes, strict=True):
            verdict = self._judge(record, outcome)
            kind = type(verdict)
            if kind is Admitted:
                self._count(cast("Admitted", verdict))
            elif kind is Refused:
                refused[cast("Refused", verdict).rule] += 1
                self._bury(cast("Refused", verdict), record)
            kinds[kind.__name__] += 1
        self._arrived(records[-1].timestamp)
        self.dirty = True
        self.plan.counts.decoded(self.name, len(records), unknown_fields)
        self.plan.counts.verdicts(self.name, kinds, refused)

    def _judge(self, record: Record, outcome: Decoded) -> Verdict:
        if type(outcome) is Refused:
            return outcome
        event = cast("Event", outcome)
        verdict = self._admit(event, record)
        if type(verdict) is Learned:
            entity = self.ledger.reference.entity_of(event)
            self.learned.add(entity)
        return verdict

    def _admit(self, event: Event, record: Record) -> Verdict:
        raise NotImplementedError

    def _count(self, verdict: Admitted) -> None:
        self.admitted += 1
        tenant = verdict.log[0]
        change, deltas = verdict.change, self.deltas
        for fact in change.taken_back:
            deltas.add(fact, tenant, -1)
        for fact in change.added:
            deltas.add(fact, tenant, 1)
        self._touched(verdict.log)

    def _touched(self, log: tuple[str, str]) -> None:
        raise NotImplementedError

    def _bury(self, refused: Refused, record: Record) -> None:
        letter = dead_letter(refused, record)
        topic = self.plan.topics.dead_letters.name
        self.letters.append(Write(topic, None, letter.key, letter.value, letter.headers))

    def _arrived(self, broker_ms: int) -> None:
        self.arrived_ms = broker_ms
        self.history = broker_ms - self.ledger.latest_ms > HISTORY_MS

    def is_dirty(self, _now_ms: int) -> bool:
        """See Stage."""
        return self.dirty

    def cut(self, _now_ms: int) -> Cut:
        """See Stage."""
        writes = self._cut_logs() + self._cut_reference() + self.letters
        self.letters = []
        writes += self._cut_deltas()
        self.dirty = False
        memory = {"numbers": self.numbers, "streams": self.ledger.stream_ms}
        return Cut(writes, memory, _nothing)

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
            Write(self.changelog, self.partition, _key(_REFERENCE, *entity), _pack(changes))
            for entity in sorted(self.learned)
            for changes in [self.ledger.reference.dump_one(entity)]
        ]

    def resume(self, memory: dict[str, Any]) -> None:
        """See Stage."""
        self.numbers = list(memory["numbers"])
        self.ledger.stream_ms = dict(memory["streams"])

    def restore(self, key: bytes, value: bytes) -> None:
        """See Stage."""
        kind, *names = _unpack(key)
        if kind == _REFERENCE:
            self.ledger.reference.restore([(*names, _unpack(value))])
        elif kind == _REPORTED:
            self.ledger.reported[names[0], names[1]] = tuple(_unpack(value))
        else:
            self._restore_log(names, value)

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        raise NotImplementedError


class Calls(_Floor):
    """The floor stage of the calls topic: contacts."""

    name = "calls"

    def __init__(self, plan: Plan, partition: int) -> None:
        topics = plan.topics
        super().__init__(plan, partition, topics.calls.partitions, topics.contacts_changelog.name)
        self.touched: dict[tuple[str, str], None] = {}
        self.reports: set[tuple[str, str]] = set()
        self.at_hand: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.expiring: dict[int, set[tuple[str, str]]] = {}
        self.swept_ms = 0

    def _admit(self, event: Event, record: Record) -> Verdict:
        return admit_call(self.ledger, event, record.key, record.timestamp)

    def _touched(self, log: tuple[str, str]) -> None:
        if log in self.ledger.contacts:
            self.touched[log] = None
        else:
            self.reports.add(log)

    def _reference_for_boards(self) -> list[Any]:
        """Every shard has the same reference data; the first tells it to the boards."""
        if self.partition != 0:
            return []
        reference = self.ledger.reference
        return [(*entity, reference.dump_one(entity)) for entity in sorted(self.learned)]

    def _cut_logs(self) -> list[Write]:
        writes = []
        for log in self.touched:
            contact = cast("Contact", self.ledger.contacts[log])
            packed = contact_log.pack(contact)
            writes.append(Write(self.changelog, self.partition, _key(_LOG, *log), packed))
            if contact.has_closed:
                writes.append(self._record(log, contact))
            self._expires(log, contact)
            self.at_hand[log] = None
            self.at_hand.move_to_end(log)
        self.touched.clear()
        for log in self.reports:
            packed = _pack(self.ledger.reported[log])
            writes.append(Write(self.changelog, self.partition, _key(_REPORTED, *log), packed))
        self.reports.clear()
        self._pack_the_rest()
        # After the touched ones: a contact may end and go in one flush of history.
        return writes + self._sweep()

    def _record(self, log: tuple[str, str], contact: Contact) -> Write:
        tenant, contact_id = log
        key = f"{tenant}/{contact_id}".encode()
        value = orjson.dumps(contact_record(tenant, contact_id, contact))
        return Write(self.plan.topics.contacts.name, None, key, value)

    def _pack_the_rest(self) -> None:
        contacts = self.ledger.contacts
        while len(self.at_hand) > AT_HAND:
            log, _ = self.at_hand.popitem(last=False)
            contact = contacts.get(log)
            if type(contact) is Contact:
                contacts[log] = contact_log.pack(contact)

    def _expires(self, log: tuple[str, str], contact: Contact) -> None:
        keep_ms = self.ledger.keep_ms(contact.channel)
        if keep_ms is not None:
            step = (contact.last_ms + keep_ms) // SWEEP_STEP_MS + 1
            self.expiring.setdefault(step, set()).add(log)

    def _sweep(self) -> list[Write]:
        """Let go of the logs that admission treats as gone; only memory depends on when."""
        now = self.ledger.latest_ms // SWEEP_STEP_MS
        writes = []
        for step in [step for step in self.expiring if step <= now]:
            for log in self.expiring.pop(step):
                contact = self.ledger.opened(log)
                if contact is None:
                    continue
                if self.ledger.is_gone(contact):
                    del self.ledger.contacts[log]
                    self.at_hand.pop(log, None)
                    key = _key(_LOG, *log)
                    writes.append(Write(self.changelog, self.partition, key, None))
                else:
                    keep_ms = self.ledger.keep_ms(contact.channel) or 0
                    self.at_hand[log] = None
                    again = max(now + 1, (contact.last_ms + keep_ms) // SWEEP_STEP_MS + 1)
                    self.expiring.setdefault(again, set()).add(log)
        return writes

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        self.ledger.contacts[names[0], names[1]] = value

    def resume(self, memory: dict[str, Any]) -> None:
        """See Stage."""
        super().resume(memory)
        now = self.ledger.latest_ms // SWEEP_STEP_MS
        for log in self.ledger.contacts:
            # Looked at once within the next hour, and then kept where it belongs.
            self.expiring.setdefault(now + 1 + hash(log) % 60, set()).add(log)


class Agents(_Floor):
    """The floor stage of the agents topic: timelines. One changelog record per state."""

    name = "agents"

    def __init__(self, plan: Plan, partition: int) -> None:
        topics = plan.topics
        super().__init__(plan, partition, topics.agents.partitions, topics.agents_changelog.name)
        self.touched: set[tuple[str, str]] = set()
        self.stored: dict[tuple[str, str], dict[int, agent_timeline.StateEntry]] = {}

    def _admit(self, event: Event, record: Record) -> Verdict:
        verdict = admit_agent(self.ledger, event, record.key, record.timestamp)
        if isinstance(event, AGENT_EVENTS):
            # What was forgotten on the way decides about later events: it is stored, too.
            log = (event.tenant, key_of(event) or "")
            agent = self.ledger.agents.get(log)
            if agent is not None and agent.forgotten:
                self.touched.add(log)
        return verdict

    def _touched(self, log: tuple[str, str]) -> None:
        self.touched.add(log)

    def _cut_logs(self) -> list[Write]:
        writes = []
        for log in self.touched:
            agent = self.ledger.agents[log]
            stored = self.stored.setdefault(log, {})
            kept = {entry.key: entry for entry in agent.entries}
            for number, entry in kept.items():
                if stored.get(number) != entry:
                    stored[number] = entry
                    writes.append(self._write(log, number, agent_timeline.pack(entry)))
            writes += [
                self._write(log, number, None)
                for number in agent.forgotten
                if number not in kept and stored.pop(number, None) is not None
            ]
            if agent.forgotten:
                agent.forgotten.clear()
                writes.append(self._write(log, 0, _pack(agent.kept_from_ms)))
        self.touched.clear()
        return writes

    def _write(self, log: tuple[str, str], number: int, value: bytes | None) -> Write:
        return Write(self.changelog, self.partition, _key(_LOG, *log, number), value)

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        tenant, agent_id, number = names
        log = (tenant, agent_id)
        agent = self.ledger.agents.get(log)
        if agent is None:
            agent = Agent(agent_id, max_age_ms=self.plan.limits.agent_max_age_ms)
            self.ledger.agents[log] = agent
        if number == 0:
            agent.kept_from_ms = _unpack(value)
            return
        entry = agent_timeline.unpack(value)
        agent.entries.append(entry)
        self.stored.setdefault(log, {})[number] = entry

    def resume(self, memory: dict[str, Any]) -> None:
        """See Stage."""
        super().resume(memory)
        for agent in self.ledger.agents.values():
            agent.entries.sort(key=agent_timeline.place)


def _key(kind: bytes, *names: str | int) -> bytes:
    return _pack((kind, *names))


def _nothing() -> None:
    """Nothing waits for the commit of a floor shard."""

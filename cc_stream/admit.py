"""Admission: what of a partition counts, decided by the partition alone, in offset order.

The floor and `report --topic` ask the same functions, so both count the same events, whatever was
flushed, swept or restarted in between. A verdict is one of: `Admitted` with what changes,
`Refused` with the rule that was broken (a dead letter), `Repeated` (a duplicate or a superseded
revision), `Learned` (reference data), `Ignored`.

* Stream time is the largest event time so far of one source in one partition. An event older than
  stream time minus grace is late; a correction is as late as the moment that it corrects.
* A log is let go when the stream time of the source that opened it has passed its last event by
  maximum age and grace. Whether it is gone is decided here, when an event arrives; when its memory
  is given back does not matter.
"""

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from cc_stream.agent import DEFAULT_MAX_AGE_MS, Agent, StateEntry
from cc_stream.contact import RANKS
from cc_stream.contact_log import Change, Contact, Head, unpack
from cc_stream.events import (
    AGENT_EVENTS,
    REFERENCE_EVENTS,
    AgentSnapshot,
    AgentStateChanged,
    Event,
    OutcomeRecorded,
    QueueSnapshotEvent,
    Refused,
    SourceRestartedEvent,
    key_of,
    to_ms,
)
from cc_stream.facts import Reported
from cc_stream.partitioner import partition_of
from cc_stream.reference import ReferenceData
from cc_stream.segment import Entry

HOUR_MS: Final = 3_600_000
MAX_AGES_MS: Final[Mapping[str, int]] = MappingProxyType(
    {"voice": 4 * HOUR_MS, "chat": 12 * HOUR_MS, "email": 72 * HOUR_MS}
)
"""How long a contact can go on at most, by channel; an unknown channel is as voice."""

SHORT_LOG: Final = 16
"""So many events of one contact fit into a record of Kafka, whatever their fields hold."""
MAX_ENTRIES: Final = 1_000
MAX_LOG_BYTES: Final = 400_000
"""A contact that has more is refused: a source that gives every call one id must not stop a shard,
and a log has to fit into one record."""

_WITH_TEAM: Final = frozenset(
    rank
    for event, rank in RANKS.items()
    if event.__name__ in {"CallOfferFailed", "CallAnswered", "CallTransferred", "CallEnded"}
)
_HASH: Final = blake2b(digest_size=8)
_OUTCOME: Final = RANKS[OutcomeRecorded]


class Limits(Struct, frozen=True):
    """How far from the present an event may lie, milliseconds.

    `grace_ms` None admits every age: a file, whose order says nothing.
    """

    grace_ms: int | None = 2 * HOUR_MS
    future_ms: int = 60_000
    agent_max_age_ms: int = DEFAULT_MAX_AGE_MS
    max_ages_ms: Mapping[str, int] = MAX_AGES_MS
    max_age_default_ms: int = 4 * HOUR_MS


class Admitted(Struct, frozen=True, gc=False):
    """The event is in its log; `log` is the log's key."""

    log: tuple[str, str]
    change: Change


class Repeated(Struct, frozen=True, gc=False):
    """Nothing new: the same event again, or one that a higher revision has replaced."""


class Learned(Struct, frozen=True, gc=False):
    """Reference data was taken in."""


class Ignored(Struct, frozen=True, gc=False):
    """Counts nothing by its nature."""


Verdict = Admitted | Refused | Repeated | Learned | Ignored

REPEATED: Final = Repeated()
LEARNED: Final = Learned()
IGNORED: Final = Ignored()
WRONG_PARTITION: Final = Refused("wrong_partition", "", "the key belongs to another partition")
FORGOTTEN: Final = Refused("late", "$.time", "before what is kept of this agent")


class Ledger:
    """What is known of one partition of the calls topic or of the agents topic.

    Contacts at rest are packed bytes. `opened` makes the logs that are touched readable.
    """

    __slots__ = ("agents", "contacts", "limits", "partition", "reference", "reported", "stream_ms")

    def __init__(self, limits: Limits, partition: tuple[int, int] | None = None) -> None:
        """`partition`: (index, how many there are); None for a file, which has no keys."""
        self.limits = limits
        self.partition = partition
        self.stream_ms: dict[str, int] = {}
        self.contacts: dict[tuple[str, str], Contact | bytes] = {}
        self.agents: dict[tuple[str, str], Agent] = {}
        self.reported: dict[tuple[str, str], tuple[int, int, int]] = {}
        self.reference = ReferenceData()

    @property
    def latest_ms(self) -> int:
        """The latest event time of any source; 0 before the first event."""
        return max(self.stream_ms.values(), default=0)

    def opened(self, log: tuple[str, str]) -> Contact | None:
        """The contact of this key, readable; None if there is none."""
        contact = self.contacts.get(log)
        if type(contact) is bytes:
            contact = self.contacts[log] = unpack(contact)
        return contact  # type: ignore[return-value]

    def is_gone(self, contact: Contact | Head) -> bool:
        """Whether the log has been let go."""
        grace_ms = self.limits.grace_ms
        age_ms = self.stream_ms.get(contact.source, 0) - contact.last_ms
        if grace_ms is None or age_ms <= grace_ms:
            return False
        keep_ms = self.keep_ms(contact.channel)
        return keep_ms is not None and age_ms > keep_ms

    def keep_ms(self, channel: str | None) -> int | None:
        """How long after its last event a log is kept; None for ever."""
        limits = self.limits
        age_ms = limits.max_ages_ms.get(channel or "voice", limits.max_age_default_ms)
        return age_ms + limits.grace_ms if limits.grace_ms is not None else None


def identity(event: Event) -> int:
    """A 64-bit hash of (source, id), by which repeats are known."""
    digest = _HASH.copy()  # half the cost of a new one
    digest.update(f"{event.source}\0{event.id}".encode())
    return int.from_bytes(digest.digest(), "big")


def admit_call(
    ledger: Ledger, event: Event, key: bytes | None = None, broker_ms: int | None = None
) -> Verdict:
    """The verdict on an event of the calls topic; `ledger` is changed accordingly.

    `key` is the record's key and `broker_ms` its broker time; a file has neither.
    """
    rank = RANKS.get(type(event))
    if rank is None:
        return _admit_other(ledger, event, key, broker_ms, calls=True)
    data: Any = event.data  # type: ignore[attr-defined]
    contact_id = data.contact_id
    if ledger.partition is not None and key != contact_id.encode():
        return Refused("key_mismatch", "$.data.contact_id")
    source, time_ms = event.source, to_ms(event.time)
    refused = _out_of_time(ledger, source, time_ms, broker_ms)
    if refused is not None:
        return refused
    log = (event.tenant, contact_id)
    entry = _entry(ledger, event, rank, time_ms)
    contact = ledger.opened(log)
    if contact is None or ledger.is_gone(contact):
        return _open_log(ledger, log, source, entry)
    keys = contact.keys
    if entry.key in keys:
        return _repeat(ledger, log, contact, entry, source)
    if len(keys) >= SHORT_LOG and _is_full(contact):
        return Refused("log_full", "$.data.contact_id", "more than a contact can have")
    return Admitted(log, contact.add(entry))


def _entry(ledger: Ledger, event: Event, rank: int, time_ms: int) -> Entry:
    data: Any = event.data  # type: ignore[attr-defined]
    revision = event.revision
    team = None
    if rank in _WITH_TEAM and data.agent_id is not None:
        team = getattr(data, "team", None) or ledger.reference.team(
            event.tenant, data.agent_id, time_ms
        )
    if rank == _OUTCOME:
        revision = max(revision, data.revision)
    return Entry(time_ms, int(event.sequence), rank, identity(event), revision, team, data)


def _out_of_time(
    ledger: Ledger, source: str, time_ms: int, broker_ms: int | None
) -> Refused | None:
    """Late or future; otherwise the source's stream time moves on."""
    if broker_ms is not None and time_ms > broker_ms + ledger.limits.future_ms:
        return Refused("future", "$.time", f"{time_ms - broker_ms} ms after its broker time")
    stream_ms = ledger.stream_ms.get(source)
    if stream_ms is None or time_ms > stream_ms:
        ledger.stream_ms[source] = time_ms
        return None
    return _late(ledger, source, time_ms)


def _late(ledger: Ledger, source: str, time_ms: int) -> Refused | None:
    grace_ms = ledger.limits.grace_ms
    behind_ms = ledger.stream_ms.get(source, 0) - time_ms
    if grace_ms is None or behind_ms <= grace_ms:
        return None
    return Refused("late", "$.time", f"{behind_ms} ms behind its source, at most {grace_ms}")


def _is_elsewhere(ledger: Ledger, key: str) -> bool:
    """Whether a key's log belongs into another partition."""
    if ledger.partition is None:
        return False
    index, count = ledger.partition
    return partition_of(key.encode(), count) != index


def _open_log(
    ledger: Ledger, log: tuple[str, str], source: str, entry: Entry
) -> Admitted | Refused:
    if _is_elsewhere(ledger, log[1]):
        return WRONG_PARTITION
    contact = Contact(source)
    change = contact.add(entry)
    keep_ms = ledger.keep_ms(contact.channel)
    starts = [segment.start() for segment in contact.story.segments]
    if keep_ms is not None and starts and min(starts) < ledger.stream_ms[source] - keep_ms:
        return Refused("contact_gone", "$.data.contact_id", "it began before logs are kept")
    ledger.contacts[log] = contact
    return Admitted(log, change)


def _is_full(contact: Contact) -> bool:
    return len(contact.keys) >= MAX_ENTRIES or len(contact.rows) > MAX_LOG_BYTES


def _repeat(
    ledger: Ledger, log: tuple[str, str], contact: Contact, entry: Entry, source: str
) -> Verdict:
    known = contact.entry_of(entry.key)
    if entry.revision < known.revision:
        return REPEATED
    if entry.revision == known.revision:
        if _content(entry) == _content(known):
            return REPEATED
        return Refused("id_conflict", "$.id", "the same id and revision, other content")
    refused = _late(ledger, source, min(known.time_ms, entry.time_ms))
    return refused or Admitted(log, contact.replace(known, entry))


def _content(entry: Entry) -> tuple[object, ...]:
    return entry.time_ms, entry.rank, entry.data


def _admit_other(
    ledger: Ledger, event: Event, key: bytes | None, broker_ms: int | None, *, calls: bool
) -> Verdict:
    if isinstance(event, REFERENCE_EVENTS):
        ledger.reference.learn(
            type(event).__name__,
            event.tenant,
            event.data,  # type: ignore[attr-defined]
            identity(event),
            event.revision,
        )
        return LEARNED
    if isinstance(event, SourceRestartedEvent):
        return IGNORED
    if calls and isinstance(event, QueueSnapshotEvent):
        return _reported(ledger, event, key, broker_ms)
    return Refused("wrong_topic", "$.type")


def _reported(
    ledger: Ledger, event: QueueSnapshotEvent, key: bytes | None, broker_ms: int | None
) -> Verdict:
    queue = event.data.queue
    if ledger.partition is not None and key != queue.encode():
        return Refused("key_mismatch", "$.data.queue")
    time_ms = to_ms(event.time)
    refused = _out_of_time(ledger, event.source, time_ms, broker_ms)
    if refused is not None:
        return refused
    log = (event.tenant, queue)
    new = (time_ms, identity(event), len(event.data.waiting))
    old = ledger.reported.get(log)
    if old is None and _is_elsewhere(ledger, queue):
        return WRONG_PARTITION
    if old is not None and new <= old:
        return REPEATED
    ledger.reported[log] = new
    before = [Reported(queue, old[2], old[0])] if old is not None else []
    return Admitted(log, Change(before, [Reported(queue, new[2], new[0])]))


def admit_agent(
    ledger: Ledger, event: Event, key: bytes | None = None, broker_ms: int | None = None
) -> Verdict:
    """The verdict on an event of the agents topic; `ledger` is changed accordingly."""
    if not isinstance(event, AGENT_EVENTS):
        return _admit_other(ledger, event, key, broker_ms, calls=False)
    data: AgentStateChanged | AgentSnapshot = event.data  # type: ignore[attr-defined]
    agent_id = key_of(event)
    assert agent_id is not None
    if ledger.partition is not None and key != agent_id.encode():
        return Refused("key_mismatch", "$.data.agent_id")
    time_ms = to_ms(event.time)
    refused = _out_of_time(ledger, event.source, time_ms, broker_ms)
    if refused is not None:
        return refused
    log = (event.tenant, agent_id)
    agent = ledger.agents.get(log)
    if agent is None:
        if _is_elsewhere(ledger, agent_id):
            return WRONG_PARTITION
        agent = Agent(agent_id, max_age_ms=ledger.limits.agent_max_age_ms)
    verdict = _admit_state(ledger, event, data, agent, log, time_ms)
    if type(verdict) is Admitted:
        ledger.agents[log] = agent  # of whom nothing counts, nothing is kept
    return verdict


def _admit_state(
    ledger: Ledger,
    event: Event,
    data: AgentStateChanged | AgentSnapshot,
    agent: Agent,
    log: tuple[str, str],
    time_ms: int,
) -> Verdict:
    since_ms = time_ms if data.since is None else to_ms(data.since)
    if since_ms > time_ms:
        return Refused("bad_value", "$.data.since", "after the event itself")
    if ledger.limits.grace_ms is not None:
        agent.forget_before(ledger.stream_ms[event.source] - ledger.limits.grace_ms)
    team = data.team or ledger.reference.team(event.tenant, agent.id, since_ms)
    queues = data.queues or ledger.reference.queues(event.tenant, agent.id, since_ms)
    if isinstance(data, AgentSnapshot):
        in_force = agent.at(time_ms)
        if in_force is not None and in_force.entry.state == data.state:
            return REPEATED
        if ledger.limits.grace_ms is not None:
            oldest_ms = ledger.stream_ms[event.source] - ledger.limits.grace_ms
            since_ms = min(max(since_ms, oldest_ms, agent.kept_from_ms), time_ms)
    elif since_ms < time_ms:
        refused = _late(ledger, event.source, since_ms)
        if refused is not None:
            return refused
    if since_ms < agent.kept_from_ms:
        return FORGOTTEN
    entry = StateEntry(
        since_ms, int(event.sequence), identity(event), event.revision, data.state, team, queues
    )
    return _file_state(ledger, event, agent, log, entry)


def _file_state(
    ledger: Ledger, event: Event, agent: Agent, log: tuple[str, str], entry: StateEntry
) -> Verdict:
    known = agent.entry_of(entry.key)
    if known is None:
        return Admitted(log, agent.add(entry))
    if entry.revision < known.revision:
        return REPEATED
    if entry.revision == known.revision:
        same = (entry.time_ms, entry.state) == (known.time_ms, known.state)
        return REPEATED if same else Refused("id_conflict", "$.id", "other content")
    if known.time_ms < agent.kept_from_ms:
        return FORGOTTEN
    refused = _late(ledger, event.source, min(known.time_ms, entry.time_ms))
    return refused or Admitted(log, agent.replace(known, entry))

"""From decoded events to complete logs: everything that was ever admitted, kept for good.

The stream lets go of old logs and forgets old states; their numbers stay counted. So what it
admitted is collected here beside the ledger: each log that was opened, also where a later one has
the same contact, and each state of each agent.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final, cast

from msgspec.structs import replace

from cc_stream import agent as agent_log
from cc_stream import contact
from cc_stream.admit import (
    Admitted,
    Learned,
    Ledger,
    Limits,
    Repeated,
    Verdict,
    admit_agent,
    admit_call,
    identity,
)
from cc_stream.agent import StateEntry
from cc_stream.contact_log import Contact
from cc_stream.contracts import Decoded
from cc_stream.dead_letters import Record, letter_key
from cc_stream.events import (
    AGENT_EVENTS,
    REFERENCE_EVENTS,
    Event,
    QueueSnapshotEvent,
    Reference,
    Refused,
    to_ms,
)
from cc_stream.facts import Fact, Reported
from cc_stream.reference import ReferenceData

Log = tuple[str, str]
"""(tenant, contact, agent or queue)."""

FILE_LIMITS: Final = Limits(grace_ms=None)
"""A file admits every age: its order says nothing."""


class Collected:
    """The logs of all that was read; `letters` holds the rule of each dead letter that is open.

    `first_ms` and `latest_ms` are the event times that went in; None before the first.
    """

    __slots__ = (
        "contacts", "first_ms", "latest_ms", "letters", "limits", "reference", "repeated",
        "reported", "states",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.contacts: list[tuple[Log, Contact]] = []
        self.states: dict[Log, list[StateEntry]] = {}
        self.reported: dict[Log, Reported] = {}
        self.reference = ReferenceData()
        self.letters: dict[bytes, str] = {}
        self.repeated = 0
        self.first_ms: int | None = None
        self.latest_ms: int | None = None

    @property
    def refused(self) -> Counter[str]:
        """How many dead letters are open, by rule."""
        return Counter(self.letters.values())

    def refuse(self, rule: str, record: Record | None = None) -> None:
        """Note a dead letter; that of a replay is the one of its record. A line has its own."""
        key = b"%d" % len(self.letters) if record is None else letter_key(record)
        self.letters[key] = rule

    def happened(self, ms: int) -> None:
        """Note the time of an event that counts."""
        self.first_ms = ms if self.first_ms is None else min(self.first_ms, ms)
        self.latest_ms = ms if self.latest_ms is None else max(self.latest_ms, ms)

    def last_of_each(self) -> dict[Log, Contact]:
        """The log of each contact, the last one where a contact came again after it had gone."""
        return dict(self.contacts)


class Reader:
    """Reads one partition in offset order, or files in order of time, into `Collected`."""

    __slots__ = ("_into", "_ledger", "_newest")

    def __init__(self, into: Collected, partition: tuple[int, int] | None = None) -> None:
        """`partition`: (index, how many there are), or None for files."""
        self._into = into
        self._ledger = Ledger(into.limits, partition)
        self._newest: dict[Log, Contact] = {}

    def take_call(
        self,
        event: Decoded,
        key: bytes | None = None,
        broker_ms: int | None = None,
        record: Record | None = None,
    ) -> None:
        """A record of the calls topic, as `contracts` decoded it; `record` names its letter."""
        self._take(admit_call, event, key, broker_ms, record)

    def take_agent(
        self,
        event: Decoded,
        key: bytes | None = None,
        broker_ms: int | None = None,
        record: Record | None = None,
    ) -> None:
        """A record of the agents topic, as `contracts` decoded it; `record` names its letter."""
        self._take(admit_agent, event, key, broker_ms, record)

    def _take(
        self,
        admit: Callable[[Ledger, Event, bytes | None, int | None], Verdict],
        event: Decoded,
        key: bytes | None,
        broker_ms: int | None,
        record: Record | None,
    ) -> None:
        into = self._into
        if isinstance(event, Refused):
            into.refuse(event.rule, record)
            return
        before = self._state_of(event)
        verdict = admit(self._ledger, event, key, broker_ms)
        if isinstance(verdict, Refused):
            into.refuse(verdict.rule, record)
            return
        if record is not None and record.headers:
            into.letters.pop(letter_key(record), None)
        if isinstance(verdict, Repeated):
            into.repeated += 1
        elif isinstance(verdict, Learned):
            data: Reference = event.data  # type: ignore[attr-defined]
            into.reference.learn(
                type(event).__name__, event.tenant, data, identity(event), event.revision
            )
        elif isinstance(verdict, Admitted):
            into.happened(to_ms(event.time))
            self._keep(event, verdict.log, before)

    def _state_of(self, event: Event) -> StateEntry | None:
        """The state that the ledger has under this event's id."""
        if not isinstance(event, AGENT_EVENTS):
            return None
        agent = self._ledger.agents.get((event.tenant, event.data.agent_id))  # type: ignore[attr-defined]
        return agent.entry_of(identity(event)) if agent is not None else None

    def _keep(self, event: Event, log: Log, before: StateEntry | None) -> None:
        into, ledger = self._into, self._ledger
        if isinstance(event, AGENT_EVENTS):
            agent = ledger.agents[log]
            states = into.states.setdefault(log, [])
            # What was forgotten meanwhile was not replaced: it stays counted.
            if before is not None and before.key not in agent.forgotten:
                states.remove(before)
            agent.forgotten.clear()
            states.append(cast("StateEntry", agent.entry_of(identity(event))))
        elif isinstance(event, QueueSnapshotEvent):
            at_ms, _, waiting = ledger.reported[log]
            into.reported[log] = Reported(log[1], waiting, at_ms)
        else:
            opened = cast("Contact", ledger.contacts[log])  # nothing packs this ledger's
            if self._newest.get(log) is not opened:
                self._newest[log] = opened
                into.contacts.append((log, opened))


def collect_events(
    events: Iterable[Event], refused: Iterable[Refused] = (), limits: Limits = FILE_LIMITS
) -> Collected:
    """The logs of the events of files, which may come in any order.

    Reference data is learned first; then the events come in the order of their time, source and
    id, so that the order of the lines decides nothing.
    """
    into = Collected(replace(limits, grace_ms=None))
    for each in refused:
        into.refuse(each.rule)
    reader = Reader(into)
    for _, same in groupby(sorted(events, key=_order), key=_order):
        for event in sorted(same, key=repr):
            take = reader.take_agent if isinstance(event, AGENT_EVENTS) else reader.take_call
            take(event)
    return into


def _order(event: Event) -> tuple[bool, int, str, str, int]:
    is_later = not isinstance(event, REFERENCE_EVENTS)
    return is_later, to_ms(event.time), event.source, event.id, event.revision


def facts(collected: Collected, as_of_ms: int | None = None) -> Iterator[tuple[str, Fact]]:
    """(tenant, fact) of all logs by definition; what happened after `as_of_ms` is left out."""
    for (tenant, _), one in collected.contacts:
        entries = [e for e in one.entries if as_of_ms is None or e.time_ms <= as_of_ms]
        for fact in contact.contributions(entries):
            yield tenant, fact
    max_age_ms = collected.limits.agent_max_age_ms
    for (tenant, agent), states in collected.states.items():
        timeline = [s for s in states if as_of_ms is None or s.time_ms <= as_of_ms]
        for fact in agent_log.contributions(agent, timeline, max_age_ms):
            yield tenant, fact
    for (tenant, _), reported in collected.reported.items():
        if as_of_ms is None or reported.at <= as_of_ms:
            yield tenant, reported

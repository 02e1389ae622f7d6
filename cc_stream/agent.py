"""The timeline of an agent, and what it contributes (METRICS section 4).

Two layers: presence (available, break, offline …) and an activity on top of it (ringing,
on_contact, wrapup) that wins while it lasts. An activity ends at the agent's next state; but a
presence that arrives between a contact and its wrap-up (a break asked for during the call) waits
beneath, for the wrap-up proves that the contact had gone on.

A state counts for the team that was the agent's when it began, and for at most `max_age_ms`: a lost
log-off does not make a week of work.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import Struct

from cc_stream.contact_log import Change, difference
from cc_stream.events import ACTIVITIES, AGENT_STATES
from cc_stream.facts import Fact, OpenState, StateTime

DEFAULT_MAX_AGE_MS: Final = 16 * 3_600_000


class StateEntry(Struct, frozen=True, gc=False, array_like=True):
    """One admitted state of an agent, with the team and queues that were resolved for it."""

    time_ms: int
    sequence: int
    key: int
    revision: int
    state: str
    team: str
    queues: tuple[str, ...] = ()


_RANKS: Final = {state: rank for rank, state in enumerate(AGENT_STATES)}


def place(entry: StateEntry) -> tuple[int, int, int, int]:
    """The total order of a timeline; at the same moment an activity comes after a presence."""
    return entry.time_ms, entry.sequence, _RANKS[entry.state], entry.key


class Span(Struct, gc=False):
    """One state while a timeline is read; `end_ms` is None while it lasts."""

    entry: StateEntry
    end_ms: int | None = None


def spans(timeline: Iterable[StateEntry]) -> list[Span]:
    """The states one after the other; repeats are one; the timeline in the order of `place`."""
    out: list[Span] = []
    for entry in timeline:
        if entry.state == "wrapup":
            _cover_presence(out)
        if out:
            last = out[-1]
            if _same(last.entry, entry):
                continue
            last.end_ms = entry.time_ms
        out.append(Span(entry))
    return out


def _same(a: StateEntry, b: StateEntry) -> bool:
    return a.state == b.state and a.team == b.team and a.queues == b.queues


def _cover_presence(out: list[Span]) -> None:
    """Drop the presences between a contact and its wrap-up: the contact had gone on."""
    index = len(out)
    while index and out[index - 1].entry.state not in ACTIVITIES:
        index -= 1
    if 0 < index < len(out) and out[index - 1].entry.state == "on_contact":
        del out[index:]


def contributions(
    agent: str, timeline: Sequence[StateEntry], max_age_ms: int = DEFAULT_MAX_AGE_MS
) -> list[Fact]:
    """The definition: every fact of a timeline, which may come in any order."""
    return [_fact(agent, span, max_age_ms) for span in spans(sorted(timeline, key=place))]


def _fact(agent: str, span: Span, max_age_ms: int) -> Fact:
    e = span.entry
    if span.end_ms is None:
        return OpenState(e.state, e.time_ms, agent, e.team, e.queues)
    end = min(span.end_ms, e.time_ms + max_age_ms)
    return StateTime(e.state, e.time_ms, end, agent, e.team)


class Agent:
    """The timeline of one agent.

    `kept_from_ms`: what happened before is counted and forgotten but for the state that was in
    force just before; an event from before it, or one that revises such, comes too late.
    `forgotten` collects the keys of what was dropped, for whoever keeps the timeline elsewhere too.
    """

    __slots__ = ("_known", "_told", "entries", "forgotten", "id", "kept_from_ms", "max_age_ms")

    def __init__(
        self,
        agent_id: str,
        entries: list[StateEntry] | None = None,
        kept_from_ms: int = 0,
        max_age_ms: int = DEFAULT_MAX_AGE_MS,
    ) -> None:
        self.id = agent_id
        self.entries: list[StateEntry] = entries if entries is not None else []
        self.kept_from_ms = kept_from_ms
        self.max_age_ms = max_age_ms
        self.forgotten: list[int] = []
        self._known: dict[int, StateEntry] = {}
        self._told: Fact | None = None  # the state in force, if it came in order

    def entry_of(self, key: int) -> StateEntry | None:
        """The entry with this (source, id) hash."""
        if len(self._known) != len(self.entries):  # they were loaded
            self._known = {entry.key: entry for entry in self.entries}
        return self._known.get(key)

    def at(self, ms: int) -> Span | None:
        """The state that was in force at a moment."""
        found = None
        for span in spans(self.entries[self._base(ms) :]):
            if span.entry.time_ms <= ms:
                found = span
        return found

    def add(self, entry: StateEntry) -> Change:
        """Put a new entry into the timeline; returns what that changes."""
        entries = self.entries
        self._known[entry.key] = entry
        if not entries:
            entries.append(entry)
            return Change((), self._facts())
        last = entries[-1]
        is_next = place(entry) > place(last) and entry.state != "wrapup"
        if is_next and not _same(last, entry) and self._settled():
            entries.append(entry)
            told = self._told or _fact(self.id, Span(last), self.max_age_ms)
            closed = _fact(self.id, Span(last, entry.time_ms), self.max_age_ms)
            self._told = _fact(self.id, Span(entry), self.max_age_ms)
            return Change((told,), (closed, self._told))
        self._told = None
        base = self._base(entry.time_ms - 1)
        before = self._facts(base)
        insort(entries, entry, key=place)
        return difference(before, self._facts(base))

    def _settled(self) -> bool:
        """Whether the last entry is the state in force, not a repeat of one before it."""
        before = self.entries[-2:-1]
        return not before or not _same(before[0], self.entries[-1])

    def replace(self, old: StateEntry, new: StateEntry) -> Change:
        """Put `new` in the place of `old`; returns what that changes."""
        self._told = None
        base = self._base(min(old.time_ms, new.time_ms) - 1)
        before = self._facts(base)
        self.entries.remove(old)
        insort(self.entries, new, key=place)
        self._known[new.key] = new
        return difference(before, self._facts(base))

    def forget_before(self, ms: int) -> None:
        """Drop what is older but for the state in force just before `ms`.

        Changes no fact that an event of `ms` or later could change, and none that counts.
        """
        base = self._base(ms - 1)  # a state that began at `ms` may be revised: what was before it?
        if base:
            for entry in self.entries[:base]:
                self.forgotten.append(entry.key)
                self._known.pop(entry.key, None)
            del self.entries[:base]
            self.kept_from_ms = self.entries[0].time_ms + 1

    def _base(self, ms: int) -> int:
        """The first entry that still matters after `ms`."""
        entries = self.entries
        if len(entries) < 2 or entries[1].time_ms > ms:  # noqa: PLR2004 - mostly nothing is as old
            return 0
        base = max(0, bisect_right(entries, ms, key=attrgetter("time_ms")) - 1)
        activity = base
        while activity and entries[activity].state not in ACTIVITIES:
            activity -= 1
        if entries and entries[activity].state == "on_contact":
            base = activity  # a wrap-up may still come and cover the presences after it
        while base and _same(entries[base - 1], entries[base]):
            base -= 1
        return base

    def _facts(self, base: int = 0) -> list[Fact]:
        """The facts from an entry on; those of the entries before it are left out."""
        return contributions(self.id, self.entries[base:], self.max_age_ms)


def pack(entry: StateEntry) -> bytes:
    """An entry at rest, as it lies in the changelog."""
    return msgspec.msgpack.encode(entry)


def unpack(packed: bytes) -> StateEntry:
    """The entry that `pack` wrote."""
    return msgspec.msgpack.decode(packed, type=StateEntry)

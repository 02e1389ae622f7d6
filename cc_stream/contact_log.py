"""A contact's log as it grows: what each new event changes, and the log at rest.

Two ways to the same change. In order (the usual case), the event is read onto the story that is
already there and only the facts that differ are sent on. Otherwise (late arrival, replacement) the
definition `contributions(log after) - contributions(log before)` decides. A property test holds
both equal.
"""

from bisect import insort
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from cc_stream.contact import RANKS, STEPS, Story, facts_of, nothing, place_outcomes, read
from cc_stream.events import CONTACT_EVENTS, Data
from cc_stream.facts import Fact
from cc_stream.segment import Entry, place, segment_facts

DATA_TYPES: Final[tuple[type[Data], ...]] = tuple(
    event.__annotations__["data"] for event in CONTACT_EVENTS
)
_CLOSING: Final = frozenset(
    rank
    for event, rank in RANKS.items()
    if event.__name__
    in {
        "CallTransferred",
        "CallDequeued",
        "CallEnded",
        "WrapupStartedEvent",
        "WrapupEndedEvent",
    }
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Change(Struct, frozen=True, gc=False):
    """The facts that a log no longer tells, and those that it tells now."""

    taken_back: Sequence[Fact]
    added: Sequence[Fact]


NO_CHANGE: Final = Change((), ())


class Contact:
    """The log of one contact. `source` is the one that opened it: its clock ages the log."""

    __slots__ = ("entries", "source", "story")

    def __init__(self, source: str, entries: list[Entry] | None = None) -> None:
        self.source = source
        self.entries: list[Entry] = entries if entries is not None else []
        self.story = Story()
        if entries:
            self._read_again()

    @property
    def last_ms(self) -> int:
        """The time of the latest event."""
        return self.entries[-1].time_ms

    @property
    def channel(self) -> str | None:
        """What the contact came in by; None until a queued event names it."""
        return self.story.channel

    @property
    def most_bytes(self) -> int:
        """No less than the log takes when it is packed."""
        return sum(_most_bytes(entry.data) for entry in self.entries)

    def entry_of(self, key: int) -> Entry | None:
        """The entry with this (source, id) hash."""
        for entry in self.entries:
            if entry.key == key:
                return entry
        return None

    def add(self, entry: Entry) -> Change:
        """Put a new entry into the log; returns what that changes."""
        entries = self.entries
        if not entries or place(entry) > place(entries[-1]):
            entries.append(entry)
            return self._advance(entry)
        before = facts_of(self.story)
        insort(entries, entry, key=place)
        self._read_again()
        return difference(before, facts_of(self.story))

    def replace(self, old: Entry, new: Entry) -> Change:
        """Put `new` in the place of `old`; returns what that changes."""
        before = facts_of(self.story)
        self.entries.remove(old)
        insort(self.entries, new, key=place)
        self._read_again()
        return difference(before, facts_of(self.story))

    def _read_again(self) -> None:
        self.story = read(self.entries)
        for segment in self.story.segments:
            segment.facts = segment_facts(segment)

    def _advance(self, entry: Entry) -> Change:
        step = STEPS[entry.rank]
        if step is nothing:
            return NO_CHANGE
        story = self.story
        loose = len(story.loose)
        step(story, entry)
        if story.outcomes:
            place_outcomes(story)
        taken_back: list[Fact] = []
        added: list[Fact] = list(story.loose[loose:])
        for segment in story.segments:
            before, after = segment.facts, segment_facts(segment)
            if before != after:
                segment.facts = after
                _differ(before, after, taken_back, added)
        return Change(taken_back, added)

    @property
    def has_closed(self) -> bool:
        """Whether something of the contact has ended: from then on it has a contact record."""
        return any(entry.rank in _CLOSING for entry in reversed(self.entries))

    @property
    def is_open(self) -> bool:
        """Whether it waits in a queue or talks to an agent."""
        return any(s.waits or s.talks for s in self.story.segments)

    @property
    def revision(self) -> int:
        """How much is known: grows with every entry and every replacement."""
        return sum(1 + entry.revision for entry in self.entries)


def _most_bytes(data: Data) -> int:
    size = 100  # what an entry has beside its names and texts
    for value in msgspec.structs.astuple(data):
        if isinstance(value, str):
            size += 4 * len(value)
        elif isinstance(value, tuple | dict):
            size += sum(4 * len(name) + 16 for name in value)
    return size


def _differ(
    before: tuple[Fact | None, ...],
    after: tuple[Fact | None, ...],
    taken_back: list[Fact],
    added: list[Fact],
) -> None:
    """Compare facts place by place; the longer tuple has its own tail."""
    common = min(len(before), len(after))
    for index in range(common):
        old, new = before[index], after[index]
        if old != new:
            if old is not None:
                taken_back.append(old)
            if new is not None:
                added.append(new)
    taken_back += [fact for fact in before[common:] if fact is not None]
    added += [fact for fact in after[common:] if fact is not None]


def difference(before: Sequence[Fact], after: Sequence[Fact]) -> Change:
    """`after - before` as multisets."""
    added = list(after)
    taken_back = []
    for fact in before:
        if fact in added:
            added.remove(fact)
        else:
            taken_back.append(fact)
    return Change(taken_back, added)


def pack(contact: Contact) -> bytes:
    """The log at rest, as it lies in memory and in the changelog."""
    rows: list[Any] = [contact.source]
    for entry in contact.entries:
        fields = msgspec.structs.astuple(entry.data)
        rows.append(
            (
                entry.time_ms,
                entry.sequence,
                entry.rank,
                entry.key,
                entry.revision,
                entry.team,
                *fields,
            )
        )
    return _encode(rows)


def unpack(packed: bytes) -> Contact:
    """The log that `pack` wrote."""
    source, *rows = _decode(packed)
    entries = []
    for time_ms, sequence, rank, key, revision, team, *fields in rows:
        values = [tuple(f) if type(f) is list else f for f in fields]
        data = DATA_TYPES[rank](*values)
        entries.append(Entry(time_ms, sequence, rank, key, revision, team, data))
    return Contact(source, entries)

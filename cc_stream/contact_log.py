"""A contact's log as it grows: what each new event changes, and the log at rest.

Three ways to the same change. In order and on a contact of one segment (the usual case), the event
is read onto the story that is already there, and only the facts that its kind can change are told
anew (`DIRECT`). In order otherwise, the facts of all segments are compared. Out of order (late
arrival, replacement) the definition `contributions(log after) - contributions(log before)` decides.
Property tests hold all equal.

An entry is packed as it is added: of it, keys and the story are at hand. Packed later it would be
read from memory that has left the processor's caches, which takes five times as long.
"""

from bisect import insort
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from cc_stream.contact import RANKS, STEPS, Story, facts_of, nothing, place_outcomes, read
from cc_stream.events import CONTACT_EVENTS, Data
from cc_stream.facts import Fact
from cc_stream.segment import (
    GONE,
    HANDLED,
    PLACES,
    STANDING,
    Entry,
    Segment,
    place,
    segment_facts,
)

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
_DIRECT_BY_NAME: Final = {
    "CallAnswered": (GONE, HANDLED, STANDING),
    "CallHeld": (HANDLED, STANDING),
    "CallResumed": (HANDLED, STANDING),
    "CallEnded": (GONE, HANDLED, STANDING),
    "WrapupStartedEvent": (HANDLED, STANDING),
    "WrapupEndedEvent": (HANDLED, STANDING),
    "OutcomeRecorded": (HANDLED,),
}
DIRECT: Final[tuple[tuple[int, ...], ...]] = tuple(
    _DIRECT_BY_NAME.get(event.__name__, ()) for event in CONTACT_EVENTS
)
"""By rank, the facts that an event can change on a leg whose beginning and answer were told."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Change(Struct, frozen=True, gc=False):
    """The facts that a log no longer tells, and those that it tells now, each a new object."""

    taken_back: Sequence[Fact]
    added: Sequence[Fact]


NO_CHANGE: Final = Change((), ())


class Contact:
    """The log of one contact. `source` is the one that opened it: its clock ages the log.

    `keys` are those of its entries, `revision` is how much is known: it grows with every entry and
    every replacement. `has_closed`: something of the contact has ended, from then on it has a
    contact record. `rows` are the entries as they are packed, one after the other.
    """

    __slots__ = (
        "_last", "first_ms", "has_closed", "keys", "revision", "rows", "source", "story",
    )  # fmt: skip

    def __init__(self, source: str, entries: Sequence[Entry] = (), packed: bytes = b"") -> None:
        """`entries` in the order of `place`; `packed` are their rows, if these are known."""
        self.source = source
        self._last: tuple[int, ...]
        self._begin(entries, packed)

    def _begin(self, entries: Sequence[Entry], packed: bytes = b"") -> None:
        if not entries:  # how every contact begins
            self.rows, self._last = b"", ()
            self.first_ms = self.revision = 0
            self.keys, self.has_closed, self.story = [], False, Story()
            return
        self.rows = packed or b"".join(map(_row, entries))
        self._last = place(entries[-1])
        self.first_ms = entries[0].time_ms
        self.keys = [entry.key for entry in entries]
        self.revision = sum(1 + entry.revision for entry in entries)
        self.has_closed = any(entry.rank in _CLOSING for entry in entries)
        self.story = read(entries)
        for segment in self.story.segments:
            segment.facts = segment_facts(segment)

    @property
    def entries(self) -> list[Entry]:
        """The whole log."""
        return list(map(_entry, _decode(_list_of(len(self.keys)) + self.rows)))

    @property
    def last_ms(self) -> int:
        """The time of the latest event."""
        return self._last[0]

    @property
    def channel(self) -> str | None:
        """What the contact came in by; None until a queued event names it."""
        return self.story.channel

    def entry_of(self, key: int) -> Entry:
        """The entry with this (source, id) hash, one of `keys`."""
        return self.entries[self.keys.index(key)]

    def add(self, entry: Entry) -> Change:
        """Put a new entry into the log; returns what that changes."""
        here = place(entry)
        if here > self._last:
            if not self.keys:
                self.first_ms = entry.time_ms
            self._last = here
            self.rows += _row(entry)
            self.keys.append(entry.key)
            self.revision += 1 + entry.revision
            if entry.rank in _CLOSING:
                self.has_closed = True
            return self._advance(entry)
        entries = self.entries
        insort(entries, entry, key=place)
        return self._read_again(entries)

    def replace(self, old: Entry, new: Entry) -> Change:
        """Put `new` in the place of `old`; returns what that changes."""
        entries = self.entries
        entries.remove(old)
        insort(entries, new, key=place)
        return self._read_again(entries)

    def _read_again(self, entries: list[Entry]) -> Change:
        before = facts_of(self.story)
        self._begin(entries)
        return difference(before, facts_of(self.story))

    def _advance(self, entry: Entry) -> Change:
        step = STEPS[entry.rank]
        if step is nothing:
            return NO_CHANGE
        story = self.story
        loose = len(story.loose)
        step(story, entry)
        if story.outcomes:
            place_outcomes(story)
        segments = story.segments
        if len(segments) == 1 and DIRECT[entry.rank] and _is_settled(segments[0]):
            return _told_anew(segments[0], DIRECT[entry.rank])
        taken_back: list[Fact] = []
        added: list[Fact] = list(story.loose[loose:])
        for segment in segments:
            before, after = segment.facts, segment_facts(segment)
            if before != after:
                segment.facts = after
                _differ(before, after, taken_back, added)
        return Change(taken_back, added)

    @property
    def is_open(self) -> bool:
        """Whether it waits in a queue or talks to an agent."""
        return any(s.waits or s.talks for s in self.story.segments)


def _is_settled(segment: Segment) -> bool:
    """Whether its beginning and its answer were told, so that nothing later moves them."""
    return (
        segment.queued_ms is not None
        and segment.answered_ms is not None
        and segment.agent is not None
    )


def _told_anew(segment: Segment, places: tuple[int, ...]) -> Change:
    """What differs at these places of the segment's facts."""
    facts = list(segment.facts)
    taken_back: list[Fact] = []
    added: list[Fact] = []
    for index in places:
        before, after = facts[index], PLACES[index](segment)
        if before != after:
            facts[index] = after
            if before is not None:
                taken_back.append(before)
            if after is not None:
                added.append(after)
    segment.facts = tuple(facts)
    return Change(taken_back, added)


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


class Head(Struct, frozen=True, gc=False, array_like=True):
    """What decides how long a log is kept, readable without its rows, which come behind it."""

    source: str
    channel: str | None
    last_ms: int


_decode_head = msgspec.msgpack.Decoder(Head).decode
_HEAD_ITEMS: Final = len(Head.__struct_fields__)


def pack(contact: Contact) -> bytes:
    """The log at rest, as it lies in memory and in the changelog: its head and its rows."""
    head = _head(len(contact.keys), contact.source, contact.channel, contact.last_ms)
    return head + contact.rows


def unpack(packed: bytes) -> Contact:
    """The log that `pack` wrote."""
    source, channel, last_ms, *rows = _decode(packed)
    begin = len(_head(len(rows), source, channel, last_ms))
    return Contact(source, [*map(_entry, rows)], packed[begin:])


def head_of(packed: bytes) -> Head:
    """The head of a log that `pack` wrote."""
    return _decode_head(packed)


def _head(rows: int, source: str, channel: str | None, last_ms: int) -> bytes:
    """What comes before the rows: the beginning of a list, and its first items."""
    first = _encode((source, channel, last_ms))[1:]
    return _list_of(_HEAD_ITEMS + rows) + first


def _list_of(count: int) -> bytes:
    """How a list of so many items begins in MessagePack."""
    return bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")  # noqa: PLR2004


def _row(entry: Entry) -> bytes:
    head = entry.time_ms, entry.sequence, entry.rank, entry.key, entry.revision, entry.team
    return _encode(head + msgspec.structs.astuple(entry.data))


def _entry(row: list[Any]) -> Entry:
    time_ms, sequence, rank, key, revision, team, *fields = row
    values = [tuple(f) if type(f) is list else f for f in fields]
    return Entry(time_ms, sequence, rank, key, revision, team, DATA_TYPES[rank](*values))

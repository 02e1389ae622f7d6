"""A segment: one queue visit and one agent leg, and the facts that it contributes.

The source's own durations win over differences of times; what is missing is derived where the log
allows it (start = end − talk − hold − wait), and durations are never negative.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from msgspec import Struct

from cc_stream.events import Data, Outcome, Quality, Survey
from cc_stream.facts import (
    Answered,
    Entered,
    Fact,
    Handled,
    Left,
    Lost,
    Open,
    Scored,
    Surveyed,
    Transferred,
)


class Entry(Struct, frozen=True, gc=False):
    """One admitted event in a contact's log, with what was resolved when it was admitted.

    `rank` is the event's place in CONTACT_EVENTS (its kind and its tie order), `key` a hash of
    (source, id), `team` the agent's team at that moment (None where no agent is named).
    """

    time_ms: int
    sequence: int
    rank: int
    key: int
    revision: int
    team: str | None
    data: Data


place: Final = attrgetter("time_ms", "sequence", "rank", "key")
"""The total order of a log."""


class Segment:
    """One queue visit and one agent leg while a log is read; None is what is not known."""

    __slots__ = (
        "agent", "answered_ms", "campaign", "ended_ms", "facts", "first", "held_since",
        "hold_known", "hold_ms", "hold_sum", "left_ms", "left_reason", "lost", "notes", "outcomes",
        "planned_ms", "queue", "queued_ms", "segment_id", "talk_ms", "team", "transferred_in",
        "transferred_ms",
        "wait_ms", "wrap_ended_ms", "wrap_ms", "wrap_started_ms", "wrapup_expected",
    )  # fmt: skip

    def __init__(self, queue: str | None, segment_id: str | None, campaign: str | None) -> None:
        self.queue = queue
        self.segment_id = segment_id
        self.campaign = campaign
        self.first = self.transferred_in = self.lost = False
        self.hold_known = self.wrapup_expected = False
        self.queued_ms: int | None = None
        self.answered_ms: int | None = None
        self.left_ms: int | None = None
        self.left_reason: str | None = None
        self.wait_ms: int | None = None
        self.agent: str | None = None
        self.team: str | None = None
        self.ended_ms: int | None = None
        self.transferred_ms: int | None = None
        self.talk_ms: int | None = None
        self.hold_ms: int | None = None
        self.hold_sum = 0
        self.held_since: int | None = None
        self.wrap_started_ms: int | None = None
        self.planned_ms: int | None = None
        self.wrap_ended_ms: int | None = None
        self.wrap_ms: int | None = None
        self.outcomes: tuple[Outcome, ...] = ()
        self.notes: tuple[Entry, ...] = ()
        self.facts: tuple[Fact | None, ...] = ()

    @property
    def waits(self) -> bool:
        """In the queue: entered, and neither answered nor gone."""
        return (
            self.queued_ms is not None
            and self.agent is None
            and self.left_ms is None
            and not self.lost
        )

    @property
    def talks(self) -> bool:
        """A leg that has not ended."""
        return self.agent is not None and self.end() is None

    def end(self) -> int | None:
        """When the leg ended: told, or derived from wrap-up where the end is missing."""
        if self.ended_ms is not None:
            return self.ended_ms
        if self.wrap_started_ms is not None:
            return self.wrap_started_ms
        if self.wrap_ended_ms is not None:
            return self.wrap_ended_ms - (self.wrap_ms or 0)
        return None

    def hold(self) -> int:
        """Hold of the leg, milliseconds."""
        if self.hold_ms is not None:
            return self.hold_ms
        end = self.end()
        if self.held_since is not None and end is not None:
            return self.hold_sum + max(0, end - self.held_since)
        return self.hold_sum

    def answer(self) -> int | None:
        """When the leg began: told, or derived from its end."""
        if self.agent is None:
            return None
        if self.answered_ms is not None:
            return self.answered_ms
        if self.queued_ms is not None and self.wait_ms is not None:
            return self.queued_ms + self.wait_ms
        end = self.end()
        if end is None:
            return self.transferred_ms
        return end - (self.talk_ms or 0) - self.hold()

    def start(self) -> int:
        """When the segment began: told, or derived as what followed minus the wait."""
        if self.queued_ms is not None:
            return self.queued_ms
        leave = self.answer() if self.agent is not None else self.left_ms
        return (leave or 0) - (self.wait_ms or 0)

    def waited(self) -> int | None:
        """Queue wait, milliseconds; None where neither the source nor the times tell it."""
        if self.wait_ms is not None:
            return self.wait_ms
        leave = self.answer() if self.agent is not None else self.left_ms
        if self.queued_ms is None or leave is None:
            return None
        return max(0, leave - self.queued_ms)

    def talk(self, answer: int, end: int, hold: int) -> int:
        """Talk of the leg, milliseconds, without hold."""
        return self.talk_ms if self.talk_ms is not None else max(0, end - answer - hold)

    def wrap(self, end: int) -> int:
        """Wrap-up of the leg, milliseconds."""
        if self.wrap_ms is not None:
            return self.wrap_ms
        if self.wrap_ended_ms is not None:
            begin = self.wrap_started_ms if self.wrap_started_ms is not None else end
            return max(0, self.wrap_ended_ms - begin)
        return self.planned_ms or 0

    def completed(self, end: int) -> int:
        """The moment at which a handled segment counts (METRICS section 1, handled)."""
        if self.wrap_ended_ms is not None:
            return self.wrap_ended_ms
        if self.wrap_started_ms is not None and self.planned_ms is not None:
            return self.wrap_started_ms + self.planned_ms
        return end


def segment_facts(s: Segment) -> tuple[Fact | None, ...]:
    """What a segment contributes, each kind of fact at its own place of the tuple."""
    facts = (_entered(s), _gone(s), _handled(s), _passed(s), _standing(s))
    return (*facts, *[_noted(s, note) for note in s.notes]) if s.notes else facts


def _entered(s: Segment) -> Entered | None:
    if s.queue is None:
        return None
    start = s.start()
    return Entered(start, start, s.queue, s.campaign, s.first, s.transferred_in)


def _gone(s: Segment) -> Answered | Left | None:
    """How it left its queue: to an agent, or without one."""
    start, agent = s.start(), s.agent
    if agent is None:
        if s.left_ms is None or s.queue is None or s.left_reason is None:
            return None
        return Left(s.left_ms, start, s.queue, s.campaign, s.left_reason, s.waited())
    answer = s.answer()
    at = answer if answer is not None else start
    wait = s.waited() if s.queue is not None else None
    return Answered(at, start, s.queue, s.campaign, agent, s.team or "", wait, s.transferred_in)


def _passed(s: Segment) -> Transferred | None:
    if s.agent is None or s.transferred_ms is None:
        return None
    return Transferred(s.transferred_ms, s.start(), s.queue, s.campaign, s.agent, s.team or "")


def _handled(s: Segment) -> Handled | None:
    end = s.end()
    if s.agent is None or end is None:
        return None
    eligible = converted = False
    value = 0
    for outcome in s.outcomes:
        if outcome.eligible is not False:
            eligible = True
            if outcome.converted:
                converted = True
                value += outcome.value_minor or 0
    start, answer, hold = s.start(), s.answer(), s.hold()
    return Handled(
        s.completed(end), start, s.queue, s.campaign, s.agent, s.team or "",
        s.talk(start if answer is None else answer, end, hold), hold, s.wrap(end),
        s.hold_known, eligible, converted, value,
    )  # fmt: skip


def _standing(s: Segment) -> Open | Lost | None:
    """The state that lasts, if any."""
    end = s.end()
    if s.agent is None:
        if s.waits and s.queued_ms is not None:
            return Open("waiting", s.queued_ms, s.queue, s.campaign, None, None)
        if s.lost and s.queue is not None:
            return Lost(s.queue, s.campaign)
        return None
    if end is None:
        if s.held_since is not None:
            return Open("holding", s.held_since, s.queue, s.campaign, s.agent, s.team)
        since = s.answer() or s.start()
        return Open("talking", since, s.queue, s.campaign, s.agent, s.team)
    if s.wrap_ended_ms is not None:
        return None
    if s.planned_ms is not None:
        due = end if s.wrap_started_ms is None else s.wrap_started_ms
        return Open("wrapping_until", due + s.planned_ms, s.queue, s.campaign, s.agent, s.team)
    if s.wrap_started_ms is not None or s.wrapup_expected:
        since = end if s.wrap_started_ms is None else s.wrap_started_ms
        return Open("wrapping", since, s.queue, s.campaign, s.agent, s.team)
    return None


ENTERED, GONE, HANDLED, PASSED, STANDING = range(5)
PLACES: Final[tuple[Callable[[Segment], Fact | None], ...]] = (
    _entered,
    _gone,
    _handled,
    _passed,
    _standing,
)
"""The places of a segment's facts, and what each is; behind them come those of its notes."""


def _noted(s: Segment, note: Entry) -> Fact:
    data = note.data
    at, start, queue, campaign = note.time_ms, s.start(), s.queue, s.campaign
    agent, team = s.agent or "", s.team or ""
    if isinstance(data, Survey):
        low, high = data.scale_min, data.scale_max
        return Surveyed(at, start, queue, campaign, agent, team, data.score, low, high, data.kind)
    assert isinstance(data, Quality)
    critical = bool(data.critical_fail)
    return Scored(at, start, queue, campaign, agent, team, data.score, data.max, critical)

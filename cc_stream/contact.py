"""The log of a contact, and what it contributes: the definition of every contact number.

The log is read by milestones in the order (time, sequence, kind, id), so the facts do not depend on
the order of arrival. A segment is one queue visit and one agent leg; either may be missing.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from cc_stream.events import CONTACT_EVENTS, Outcome
from cc_stream.facts import Fact, OfferFailed, Rejected
from cc_stream.segment import Entry, Segment, place, segment_facts


class Story:
    """A log as read so far: its segments, and the facts that belong to none."""

    __slots__ = (
        "campaign", "channel", "direction", "handed_on", "hung_up_ms", "loose", "outcomes",
        "segments",
    )  # fmt: skip

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.loose: tuple[Fact, ...] = ()
        self.outcomes: tuple[Outcome, ...] = ()
        self.channel: str | None = None
        self.campaign: str | None = None
        self.direction: str | None = None
        self.handed_on = False
        self.hung_up_ms: int | None = None

    def open_segment(self, queue: str | None, segment_id: str | None) -> Segment:
        """A new segment; the first of the contact that has a queue is marked."""
        segment = Segment(queue, segment_id, self.campaign)
        segment.first = queue is not None and not any(s.first for s in self.segments)
        segment.transferred_in, self.handed_on = self.handed_on, False
        self.segments.append(segment)
        return segment

    def named(self, segment_id: str | None) -> Segment | None:
        """The segment that a source calls so; None without a name."""
        if segment_id is not None:
            for segment in self.segments:
                if segment.segment_id == segment_id:
                    return segment
        return None

    def waiting_in(self, queue: str | None) -> Segment | None:
        """The newest visit that still waits, in this queue if one is named."""
        for segment in reversed(self.segments):
            if segment.waits and (queue is None or segment.queue == queue):
                return segment
        return None

    def unexplained_in(self, queue: str | None) -> Segment | None:
        """The newest visit to this queue that ended, and how was not told."""
        return next((s for s in reversed(self.segments) if s.lost and s.queue == queue), None)

    def leg_of(self, agent: str, segment_id: str | None) -> Segment | None:
        """The agent's leg: the named one, else the newest open one, else the newest."""
        named = self.named(segment_id)
        if named is not None and named.agent == agent:
            return named
        legs = [s for s in self.segments if s.agent == agent]
        return next((s for s in reversed(legs) if s.talks), legs[-1] if legs else None)

    def credited(self, agent: str | None) -> Segment | None:
        """The leg that an outcome counts for: its agent's, else the last answering one."""
        legs = [s for s in self.segments if s.agent is not None]
        mine = [s for s in legs if s.agent == agent]
        return mine[-1] if mine else legs[-1] if legs else None


def _queued(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    story.channel = story.channel or data.channel
    story.campaign = story.campaign or data.campaign
    story.direction = story.direction or data.direction
    known = story.named(data.segment_id)
    if known is not None:
        if known.queued_ms is None and known.queue in (None, data.queue):
            known.queue, known.queued_ms = data.queue, entry.time_ms
        return
    if data.segment_id is None:
        for earlier in story.segments:
            if earlier.talks and earlier.queued_ms is None and earlier.queue == data.queue:
                earlier.queued_ms = entry.time_ms  # two clocks: it was answered a moment before
                return
            if earlier.waits and earlier.segment_id is None:
                if earlier.queue == data.queue:
                    return
                earlier.lost = True
    segment = story.open_segment(data.queue, data.segment_id)
    segment.queued_ms = entry.time_ms
    segment.campaign = data.campaign or story.campaign


def _rejected(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    at = entry.time_ms
    story.loose += (Rejected(at, at, data.queue, story.campaign, data.reason),)


def nothing(story: Story, entry: Entry) -> None:
    """Kept in the log, counted nowhere yet."""


def _offer_failed(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    waiting = story.waiting_in(data.queue)
    queue = data.queue or (waiting.queue if waiting else None)
    start = waiting.start() if waiting else entry.time_ms
    at, team = entry.time_ms, entry.team or ""
    story.loose += (OfferFailed(at, start, queue, story.campaign, data.agent_id, team),)


def _visit_for(story: Story, data: Any) -> Segment | None:
    named = story.named(data.segment_id)
    if named is not None:
        return named if named.agent is None else None
    return story.waiting_in(data.queue) or story.unexplained_in(data.queue)


def _answered(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    segment = _visit_for(story, data)
    if segment is None:
        leg = story.leg_of(data.agent_id, data.segment_id)
        known = story.named(data.segment_id) is not None
        if leg is not None and (leg.talks or (known and leg.segment_id == data.segment_id)):
            return
        # A second agent on one queue visit is a leg of its own, without a second queue entry.
        segment = story.open_segment(None if known else data.queue, data.segment_id)
    segment.answered_ms = entry.time_ms
    if segment.segment_id is None:
        segment.segment_id = data.segment_id
    _connect(segment, entry)


def _connect(segment: Segment, entry: Entry) -> None:
    data: Any = entry.data
    segment.agent, segment.team, segment.lost = data.agent_id, entry.team, False
    wait_ms = getattr(data, "wait_ms", None)
    if wait_ms is not None and segment.wait_ms is None:
        segment.wait_ms = wait_ms


def _held(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = story.leg_of(data.agent_id, data.segment_id)
    if leg is not None:
        leg.hold_known = True
        if leg.held_since is None and leg.talks:
            leg.held_since = entry.time_ms


def _resumed(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = story.leg_of(data.agent_id, data.segment_id)
    if leg is not None:
        leg.hold_known = True
        if leg.held_since is not None and leg.talks:
            leg.hold_sum += max(0, entry.time_ms - leg.held_since)
            leg.held_since = None


def _leg_that_ends(story: Story, entry: Entry) -> Segment:
    """The agent's leg, or where its answer is missing one derived from this end."""
    data: Any = entry.data
    leg = story.leg_of(data.agent_id, data.segment_id)
    if leg is None:
        leg = _visit_for(story, data) or story.open_segment(data.queue, data.segment_id)
        _connect(leg, entry)
    return leg


def _transferred(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = _leg_that_ends(story, entry)
    if leg.transferred_ms is None:
        leg.transferred_ms = entry.time_ms
    _close(leg, entry)
    target = story.named(data.new_segment_id)
    newest = story.segments[-1]
    if target is None and newest.left_ms is None and newest.start() >= leg.start():
        target = newest if data.to_queue in {None, newest.queue} or newest.queue is None else None
    if target is not None and target is not leg:
        target.transferred_in = True
    else:
        story.handed_on = True


def _close(leg: Segment, entry: Entry) -> None:
    data: Any = entry.data
    if leg.ended_ms is None:
        leg.ended_ms = entry.time_ms
    if leg.talk_ms is None:
        leg.talk_ms = data.talk_ms
    if leg.wait_ms is None and leg.queue is not None:
        leg.wait_ms = data.wait_ms


def _dequeued(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    segment = _visit_for(story, data)
    if segment is None:
        if story.named(data.segment_id) is not None:
            return
        if any(_tells_again(s, entry) for s in story.segments if s.queue == data.queue):
            return
        segment = story.open_segment(data.queue, data.segment_id)
    if segment.left_ms is None:
        segment.left_ms, segment.left_reason = entry.time_ms, data.reason
        segment.wait_ms, segment.lost = data.wait_ms, False


def _tells_again(visit: Segment, entry: Entry) -> bool:
    """Whether an exit is the visit's own: only a wait that began later proves another visit."""
    if visit.left_ms is None:
        return visit.talks
    data: Any = entry.data
    return data.wait_ms is None or entry.time_ms - data.wait_ms <= visit.left_ms


def _ended(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    story.hung_up_ms = entry.time_ms
    if data.agent_id is not None:
        _end_leg(_leg_that_ends(story, entry), entry)
        return
    named = story.named(data.segment_id)
    for segment in [named] if named is not None else story.segments:
        if segment.talks or (segment.agent is not None and segment is named):
            _end_leg(segment, entry)
        elif segment.waits:
            segment.lost = True


def _end_leg(leg: Segment, entry: Entry) -> None:
    data: Any = entry.data
    _close(leg, entry)
    if leg.hold_ms is None:
        leg.hold_ms = data.hold_ms
        leg.hold_known = leg.hold_known or data.hold_ms is not None
    leg.wrapup_expected = leg.wrapup_expected or bool(data.wrapup_expected)


def _wrapup_started(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = story.leg_of(data.agent_id, data.segment_id)
    if leg is not None and leg.wrap_started_ms is None:
        leg.wrap_started_ms, leg.planned_ms = entry.time_ms, data.planned_ms


def _wrapup_ended(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = story.leg_of(data.agent_id, data.segment_id)
    if leg is not None:
        leg.wrap_ended_ms = entry.time_ms
        if data.wrap_ms is not None:
            leg.wrap_ms = data.wrap_ms


def _outcome(story: Story, entry: Entry) -> None:
    assert isinstance(entry.data, Outcome)
    story.outcomes += (entry.data,)


def _note(story: Story, entry: Entry) -> None:
    data: Any = entry.data
    leg = story.credited(data.agent_id)
    if leg is not None:
        leg.notes += (entry,)


STEPS: Final[tuple[Callable[[Story, Entry], None], ...]] = (
    # In the order of events.CONTACT_EVENTS.
    _queued,
    _rejected,
    nothing,
    _offer_failed,
    _answered,
    _held,
    _resumed,
    _transferred,
    _dequeued,
    _ended,
    nothing,
    _wrapup_started,
    _wrapup_ended,
    nothing,
    _outcome,
    _note,
    _note,
)
RANKS: Final = {event: rank for rank, event in enumerate(CONTACT_EVENTS)}
assert len(STEPS) == len(CONTACT_EVENTS)


def place_outcomes(story: Story) -> None:
    """Credit every outcome to its leg; legs that came later may take over."""
    if story.outcomes:
        for segment in story.segments:
            segment.outcomes = ()
        for outcome in story.outcomes:
            leg = story.credited(outcome.agent_id)
            if leg is not None:
                leg.outcomes += (outcome,)


def read(log: Iterable[Entry]) -> Story:
    """The story that a log tells; the log in the order of `place`."""
    story = Story()
    for entry in log:
        STEPS[entry.rank](story, entry)
    place_outcomes(story)
    return story


def contributions(log: Iterable[Entry]) -> list[Fact]:
    """The definition: every fact of a log, which may come in any order."""
    return facts_of(read(sorted(log, key=place)))


def facts_of(story: Story) -> list[Fact]:
    """The facts of all segments and those that belong to none."""
    facts = [f for segment in story.segments for f in segment_facts(segment) if f is not None]
    return [*facts, *story.loose]

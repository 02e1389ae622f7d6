"""Generated events of one contact and of one agent, as rough as real feeds."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from cc_stream import events as ev
from cc_stream.events import EPOCH, EXIT_REASONS, Event

BEGIN_MS = 1_795_500_000_000
CONTACT = "c-1"
AGENT = "a-1"

agents = st.sampled_from(["ann", "bob", "cem"])
queues = st.sampled_from(["sales", "tech"])
segments = st.none() | st.sampled_from(["s1", "s2", "s3"])
durations = st.none() | st.integers(0, 90_000)
maybe_agents = st.none() | agents
moments = st.integers(0, 40).map(lambda step: BEGIN_MS + step * 2_500)


def _data(cls: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, contact_id=st.just(CONTACT), **fields)


CONTACT_DATA: dict[type[Any], st.SearchStrategy[Any]] = {
    ev.CallQueued: _data(
        ev.Queued,
        queue=queues,
        segment_id=segments,
        channel=st.sampled_from([None, "voice", "chat"]),
        campaign=st.sampled_from([None, "spring", "autumn"]),
    ),
    ev.CallRejected: _data(ev.Rejected, queue=queues, reason=st.just("full")),
    ev.CallOffered: _data(ev.Offered, agent_id=agents),
    ev.CallOfferFailed: _data(ev.OfferFailed, agent_id=agents, queue=st.none() | queues),
    ev.CallAnswered: _data(
        ev.Answered,
        agent_id=agents,
        queue=st.none() | queues,
        segment_id=segments,
        team=st.sampled_from([None, "north"]),
        wait_ms=durations,
    ),
    ev.CallHeld: _data(ev.Held, agent_id=agents, segment_id=segments),
    ev.CallResumed: _data(ev.Resumed, agent_id=agents, segment_id=segments),
    ev.CallTransferred: _data(
        ev.Transferred,
        agent_id=agents,
        kind=st.just("blind"),
        talk_ms=durations,
        segment_id=segments,
        new_segment_id=segments,
        wait_ms=durations,
    ),
    ev.CallDequeued: _data(
        ev.Dequeued,
        queue=queues,
        reason=st.sampled_from(EXIT_REASONS),
        wait_ms=durations,
        segment_id=segments,
    ),
    ev.CallEnded: _data(
        ev.Ended,
        agent_id=maybe_agents,
        queue=st.none() | queues,
        segment_id=segments,
        wait_ms=durations,
        talk_ms=durations,
        hold_ms=durations,
        wrapup_expected=st.sampled_from([None, True, False]),
    ),
    ev.CallStep: _data(ev.Step, step=st.just("solved")),
    ev.WrapupStartedEvent: _data(ev.WrapupStarted, agent_id=agents, planned_ms=durations),
    ev.WrapupEndedEvent: _data(ev.WrapupEnded, agent_id=agents, wrap_ms=durations),
    ev.ContactClassified: _data(ev.Classified, reason=st.just("billing/refund")),
    ev.OutcomeRecorded: _data(
        ev.Outcome,
        outcome=st.just("sale"),
        agent_id=maybe_agents,
        eligible=st.sampled_from([None, True, False]),
        converted=st.sampled_from([None, True, False]),
        value_minor=st.none() | st.integers(-500, 5_000),
    ),
    ev.SurveySubmitted: _data(
        ev.Survey,
        score=st.integers(1, 5).map(float),
        scale_min=st.just(1.0),
        scale_max=st.just(5.0),
        agent_id=maybe_agents,
    ),
    ev.QualityScored: _data(ev.Quality, agent_id=agents, score=st.integers(0, 9).map(float)),
}


@st.composite
def _contact_event(draw: st.DrawFn) -> Event:
    """One event; few ids, so that revisions of one id occur."""
    cls = draw(st.sampled_from(list(CONTACT_DATA)))
    return _event(draw, cls, draw(CONTACT_DATA[cls]))


def _event(draw: st.DrawFn, cls: type[Any], data: object) -> Event:
    event: Event = cls(
        id=str(draw(st.integers(0, 30))),
        source="/test",
        time=EPOCH + timedelta(milliseconds=draw(moments)),
        revision=draw(st.sampled_from([0, 0, 0, 1, 2])),
        sequence=draw(st.sampled_from([0, 0, 1, 2])),
        data=data,
    )
    return event


@st.composite
def _agent_event(draw: st.DrawFn) -> Event:
    states = ["available", "break", "ringing", "on_contact", "wrapup", "offline"]
    state = draw(st.sampled_from(states))
    team = draw(st.sampled_from([None, None, "north", "south"]))
    served = draw(st.sampled_from([None, ("sales",), ("sales", "tech")]))
    since = EPOCH + timedelta(milliseconds=draw(moments))
    source = draw(st.sampled_from(["/test", "/test", "/other"]))
    if draw(st.sampled_from([True, False, False])):
        snapshot = ev.AgentSnapshot(AGENT, state, since, team=team, queues=served)  # type: ignore[arg-type]
        return replace(_event(draw, ev.AgentSnapshotEvent, snapshot), source=source)
    changed = ev.AgentStateChanged(AGENT, state, team=team, queues=served)  # type: ignore[arg-type]
    return replace(_event(draw, ev.AgentStateChangedEvent, changed), source=source)


def state_at(ms: int, id_: str, state: str, *, revision: int = 0, source: str = "/test") -> Event:
    """The agent changed the state so long after the beginning."""
    time = EPOCH + timedelta(milliseconds=BEGIN_MS + ms)
    data = ev.AgentStateChanged(AGENT, state)  # type: ignore[arg-type]
    return ev.AgentStateChangedEvent(id=id_, source=source, time=time, revision=revision, data=data)


def snapshot_at(
    ms: int, id_: str, state: str, *, revision: int = 0, source: str = "/test"
) -> Event:
    """The agent is seen in a state so long after the beginning, and has been from the beginning."""
    begin = EPOCH + timedelta(milliseconds=BEGIN_MS)
    time = begin + timedelta(milliseconds=ms)
    data = ev.AgentSnapshot(AGENT, state, begin)  # type: ignore[arg-type]
    return ev.AgentSnapshotEvent(id=id_, source=source, time=time, revision=revision, data=data)


def _one_content_a_revision(feed: list[Event]) -> list[Event]:
    """The same id and revision twice with other content is a conflict; the first one stays."""
    kept: dict[tuple[str, str, int], Event] = {}
    for event in feed:
        kept.setdefault((event.source, event.id, event.revision), event)
    return list(kept.values())


@st.composite
def _leg(draw: st.DrawFn) -> list[Event]:
    """One visit and its leg in the order in which they happen; any step may be missing."""
    agent, segment = draw(agents), draw(segments)
    usual = [
        ev.CallQueued,
        ev.CallOffered,
        ev.CallAnswered,
        *[ev.CallHeld, ev.CallResumed] * draw(st.integers(0, 2)),
        ev.CallEnded,
        ev.WrapupStartedEvent,
        ev.WrapupEndedEvent,
        ev.OutcomeRecorded,
        ev.SurveySubmitted,
    ]
    told = [cls for cls in usual if draw(st.integers(0, 9))]
    steps = [(cls, draw(CONTACT_DATA[cls])) for cls in told]
    own = {"agent_id": agent, "segment_id": segment}
    return [
        _event(draw, cls, replace(data, **{k: v for k, v in own.items() if hasattr(data, k)}))
        for cls, data in steps
    ]


def _in_order(legs: list[list[Event]]) -> list[Event]:
    """Each with an id of its own, at most a step after the one before it."""
    events = [event for leg in legs for event in leg]
    return [
        replace(event, id=str(n), revision=0, sequence=0, time=EPOCH + _after(n))
        for n, event in enumerate(events)
    ]


def _after(steps: int) -> timedelta:
    return timedelta(milliseconds=BEGIN_MS + steps // 2 * 2_500)


lives = st.lists(_leg(), min_size=1, max_size=3).map(_in_order)
"""Contacts as a well-behaved source tells them."""
contact_feeds = st.lists(_contact_event(), max_size=14).map(_one_content_a_revision)
agent_feeds = st.lists(_agent_event(), max_size=14).map(_one_content_a_revision)
state_feeds = agent_feeds.map(
    lambda feed: [event for event in feed if isinstance(event, ev.AgentStateChangedEvent)]
)

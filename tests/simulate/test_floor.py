"""The simulated floor behaves like one, and the same one every time."""

import io
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import chain, islice, pairwise
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

from cc_stream.contracts import decode_one, encode
from cc_stream.errors import ConfigError
from cc_stream.events import (
    ALL_EVENTS,
    AgentStateChangedEvent,
    CallAnswered,
    CallDequeued,
    CallEnded,
    CallOfferFailed,
    CallQueued,
    CallTransferred,
    Event,
    OutcomeRecorded,
    Refused,
    RosterUpdated,
    WrapupEndedEvent,
    key_of,
    to_ms,
)
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.ndjson import write_ndjson
from cc_stream.simulate.outbox import Arrival, event_of
from cc_stream.simulate.plan import NO_FAULTS, Faults, SimulationSettings
from cc_stream.simulate.reference import reference

HOUR: Final = 3_600_000
MIDNIGHT: Final = 1_764_547_200_000
MORNING: Final = MIDNIGHT + 8 * HOUR
CLEAN: Final = SimulationSettings(faults=NO_FAULTS)


def span(settings: SimulationSettings, hours: float, from_ms: int = MORNING) -> list[Arrival]:
    return list(arrivals(settings, from_ms, from_ms + int(hours * HOUR)))


def events_of(records: Iterable[Arrival]) -> list[Event]:
    return [event for record in records if (event := event_of(record)) is not None]


def test_the_same_floor_gives_the_same_bytes() -> None:
    settings = SimulationSettings(seats=30, seed=7)
    assert span(settings, 1) == span(settings, 1)
    assert list(reference(settings, MORNING)) == list(reference(settings, MORNING))


def test_another_seed_or_start_shares_no_id() -> None:
    one = span(SimulationSettings(seats=10, faults=NO_FAULTS), 0.3)
    for other in (
        span(SimulationSettings(seats=10, faults=NO_FAULTS, seed=2), 0.3),
        span(SimulationSettings(seats=10, faults=NO_FAULTS), 0.3, MORNING + HOUR),
    ):
        assert not {e.id for e in events_of(one)} & {e.id for e in events_of(other)}


def test_an_endless_floor_begins_with_the_same_records() -> None:
    settings = SimulationSettings(seats=20, faults=NO_FAULTS)
    finite = span(settings, 0.5)
    assert list(islice(arrivals(settings, MORNING), len(finite))) == finite


def test_the_same_floor_happens_with_and_without_faults() -> None:
    delayed = SimulationSettings(
        seats=50, faults=Faults(disorder=0.3, duplicates=0.1, bad=0.05, missing_ends=0, restated=0)
    )
    clean = SimulationSettings(seats=50, faults=NO_FAULTS)
    good = [r for r in span(delayed, 1) if r.fault not in {"bad", "duplicate"}]
    assert sorted(r.value for r in good) == sorted(r.value for r in span(clean, 1))


def test_every_good_payload_is_an_event_with_its_key_and_survives_encoding() -> None:
    settings = SimulationSettings(seats=60, tenant="acme")
    for record in chain(reference(settings, MORNING), span(settings, 1)):
        event = event_of(record)
        if event is None:
            continue
        assert decode_one(record.value) == (event, 0)
        assert decode_one(encode(event)) == (event, 0)
        assert event.tenant == "acme"
        assert record.key.decode() == (key_of(event) or record.key.decode())


@pytest.mark.parametrize(("tenant", "first"), [("default", ""), ("acme", "acme/")])
def test_reference_data_of_different_kinds_never_share_a_key(tenant: str, first: str) -> None:
    """The topic is compacted: of two with one key the older would be lost."""
    queue = replace(CLEAN.queues[0], name="sales")
    settings = replace(CLEAN, tenant=tenant, teams=("sales",), queues=(queue,))
    records = list(reference(settings, MORNING))
    keys = [record.key.decode() for record in records]
    assert len(set(keys)) == len(keys)
    kinds = {"RosterUpdated": "agent", "QueueConfigured": "queue", "TargetSet": "target"}
    for key, event in zip(keys, events_of(records), strict=True):
        kind = kinds.get(type(event).__name__, "schedule")
        assert key == f"{first}{kind}/{event.data.entity}"  # type: ignore[attr-defined]


def test_every_bad_payload_is_refused_and_every_kind_occurs() -> None:
    settings = SimulationSettings(seats=60, faults=Faults(bad=0.05))
    bad = [record for record in span(settings, 1) if record.fault == "bad"]
    reasons: Counter[str] = Counter()
    for record in bad:
        decoded, _ = decode_one(record.value)
        if b"far_future" in record.value:
            # A good event to whoever has no broker time to hold it against.
            assert isinstance(decoded, Event)
            assert to_ms(decoded.time) > MORNING + 9 * 365 * 24 * HOUR
            reasons["future"] += 1
        else:
            assert isinstance(decoded, Refused)
            reasons[decoded.rule] += 1
        assert b"\n" not in record.value
    assert len(reasons) >= 6


def test_all_event_types_occur_in_two_hours() -> None:
    settings = SimulationSettings()
    seen = {type(e) for e in events_of(chain(reference(settings, MORNING), span(settings, 2)))}
    assert set(ALL_EVENTS) - seen == set()


def test_nothing_arrives_before_it_happened_or_before_what_arrived_earlier() -> None:
    settings = SimulationSettings(seats=60, faults=Faults(disorder=0.3, disorder_seconds=8))
    records = span(settings, 1)
    delays = [r.at_ms - to_ms(e.time) for r in records if (e := event_of(r)) is not None]
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(records))
    assert min(delays) == 0
    assert 7_500 < max(delays) <= 8_001


def test_faults_are_near_their_rates() -> None:
    faults = Faults(disorder=0.05, duplicates=0.02, bad=0.01, missing_ends=0.1, restated=0.1)
    records = span(SimulationSettings(faults=faults), 2)
    names = Counter(record.fault for record in records)
    sent = names[None] + names["disorder"] - names["bad"]
    assert names["disorder"] / sent == pytest.approx(0.05, rel=0.1)
    assert names["duplicate"] / sent == pytest.approx(0.02, rel=0.15)
    assert names["bad"] / sent == pytest.approx(0.01, rel=0.25)
    events = events_of(record for record in records if record.fault != "duplicate")
    outcomes = [event for event in events if isinstance(event, OutcomeRecorded)]
    again = [event for event in outcomes if event.revision == 1]
    assert {event.id for event in again} <= {e.id for e in outcomes if e.revision == 0}
    assert len(again) / (len(outcomes) - len(again)) == pytest.approx(0.1, rel=0.3)


def test_some_ends_are_missing_if_asked_for() -> None:
    def ends(missing: float) -> int:
        faults = msgspec.structs.replace(NO_FAULTS, missing_ends=missing)
        kinds = (CallEnded, WrapupEndedEvent)
        events = events_of(span(SimulationSettings(faults=faults), 2))
        return sum(isinstance(event, kinds) for event in events)

    assert ends(0.2) / ends(0.0) == pytest.approx(0.9, abs=0.02)


def test_every_segment_ends_exactly_once() -> None:
    queued: dict[str | None, int] = {}
    left: Counter[str | None] = Counter()
    answered: dict[str | None, int] = {}
    ended: Counter[str | None] = Counter()
    for event in events_of(span(CLEAN, 3)):
        segment = getattr(event.data, "segment_id", None)  # type: ignore[attr-defined]
        if isinstance(event, CallQueued):
            queued[segment] = to_ms(event.time)
        elif isinstance(event, CallDequeued):
            left[segment] += 1
        elif isinstance(event, CallAnswered):
            left[segment] += 1
            answered[segment] = to_ms(event.time)
        elif isinstance(event, CallEnded | CallTransferred):
            ended[segment] += 1
    old = MORNING + 2 * HOUR
    assert max(left.values()) == max(ended.values()) == 1
    assert {s for s, at in queued.items() if at < old} - set(left) == set()
    assert {s for s, at in answered.items() if at < old} - set(ended) == set()


def test_an_agents_states_follow_each_other() -> None:
    allowed = {
        "available": {"ringing", "break", "training", "meeting", "offline"},
        "ringing": {"on_contact", "available", "other"},
        "on_contact": {"wrapup", "available"},
        "wrapup": {"ringing", "available"},
        "offline": {"available"},
    }
    states: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in events_of(span(CLEAN, 10)):
        if isinstance(event, AgentStateChangedEvent):
            states[event.data.agent_id].append((to_ms(event.time), event.data.state))
    assert len(states) > CLEAN.seats  # a shift has changed
    for changes in states.values():
        assert changes[0][1] == "available"
        for (before_ms, before), (after_ms, after) in pairwise(changes):
            assert after in allowed.get(before, {"available"}), (before, after)
            assert after_ms > before_ms


@pytest.mark.parametrize("start_hour", [2, 9])
@pytest.mark.parametrize(("seats", "hours"), [(200, 2), (20, 8)])
def test_a_floor_is_calibrated(seats: int, hours: int, start_hour: int) -> None:
    from_ms = MIDNIGHT + start_hour * HOUR
    settings = SimulationSettings(seats=seats, faults=NO_FAULTS)
    events = events_of(span(settings, hours, from_ms))
    waits = [e.data.wait_ms or 0 for e in events if isinstance(e, CallAnswered) and e.data.queue]
    abandoned = sum(
        isinstance(event, CallDequeued) and event.data.reason == "abandoned" for event in events
    )
    total = len(waits) + abandoned
    assert 0.5 < sum(wait <= 20_000 for wait in waits) / total < 0.95
    assert 0.02 < abandoned / total < 0.12
    assert 0.6 < occupancy(events) < 0.95
    calls = sum(record.topic == "calls" for record in span(settings, hours, from_ms))
    contacts = len({e.data.contact_id for e in events if isinstance(e, CallQueued)})
    assert 6 < calls / contacts < 9.5


def occupancy(events: list[Event]) -> float:
    spent: Counter[str] = Counter()
    since: dict[str, tuple[int, str]] = {}
    for event in events:
        if isinstance(event, AgentStateChangedEvent):
            now = to_ms(event.time)
            start, state = since.get(event.data.agent_id, (now, "offline"))
            spent[state] += now - start
            since[event.data.agent_id] = (now, event.data.state)
    busy = spent["on_contact"] + spent["wrapup"]
    return busy / (busy + spent["available"] + spent["ringing"])


def test_agents_differ_and_some_are_lent_out() -> None:
    home = {
        event.data.entity: event.data.fields["team"]
        for event in events_of(reference(CLEAN, MORNING))
        if isinstance(event, RosterUpdated)
    }
    sold: dict[str, list[bool]] = defaultdict(list)
    lent = set()
    for event in events_of(span(CLEAN, 5)):
        if isinstance(event, OutcomeRecorded):
            sold[event.data.agent_id or ""].append(bool(event.data.converted))
        if isinstance(event, CallAnswered) and event.data.team is not None:
            assert event.data.team != home[event.data.agent_id]
            lent.add(event.data.agent_id)
    rates = sorted(sum(sales) / len(sales) for sales in sold.values() if len(sales) >= 15)
    assert len(rates) > 50
    assert rates[0] < 0.12
    assert rates[-1] > 0.25
    assert 0 < len(lent) < 0.1 * len(home)


def test_offers_fail_in_more_than_one_way() -> None:
    failed = [e for e in events_of(span(CLEAN, 2)) if isinstance(e, CallOfferFailed)]
    assert {event.data.reason for event in failed} == {"no_answer", "rejected", "canceled"}


def test_memory_does_not_grow_with_time() -> None:
    records = arrivals(SimulationSettings(seats=40), MORNING)
    most = 0
    written = 0
    tracemalloc.start()
    try:
        for record in records:
            written += len(record.value)
            if record.at_ms > MORNING + 8 * HOUR:
                break
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1 << 20
    assert written > 10 * most


def test_each_ndjson_line_is_one_record() -> None:
    settings = SimulationSettings(seats=20, faults=Faults(bad=0.1))
    records = span(settings, 0.5)
    broken = Arrival(MORNING, "calls", b"k", b'{"a":\n1\r\n', "bad")
    file = io.BytesIO()
    heard: list[int] = []
    count = write_ndjson([*records, broken], file, lambda lines, _at_ms: heard.append(lines))
    lines = file.getvalue().splitlines()
    assert count == len(lines) == len(records) + 1
    assert lines[:-1] == [record.value for record in records]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"seats": 0}, "seats"),
        ({"seats": 10_000_000}, "seats"),
        ({"load": 0}, "load"),
        ({"teams": ()}, "team"),
        ({"teams": ("a", "a")}, "twice"),
        ({"teams": ('a"b',)}, 'a"b'),
        ({"source": "with space"}, "source"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"spikes_an_hour": 2}, "spikes_an_hour"),
    ],
)
def test_a_wrong_setting_is_named(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        SimulationSettings(**fields)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [{"disorder": 1.5}, {"bad": -0.1}, {"disorder_seconds": 0}, {"disorder": 0.9, "bad": 0.2}],
)
def test_a_wrong_fault_rate_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(fields))):
        Faults(**fields)


def test_an_empty_span_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="end"):
        arrivals(CLEAN, MORNING, MORNING)

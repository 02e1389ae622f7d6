"""Contacts: every figure computed by hand from a few events."""

from typing import Any

import pytest

from cc_stream import events as ev
from tests.report.feed import Feed, ms


def shown(metrics: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: metrics[name] for name in names}


def test_the_six_service_levels_of_the_worked_example() -> None:
    # METRICS section 2: answered 1000 (860 within T), abandoned 60 (20 within T, 10 within S).
    feed = Feed()
    waits = [("answered", 20_000, 860), ("answered", 20_001, 140)]
    waits += [("left", 5_000, 10), ("left", 19_500, 10), ("left", 30_000, 40)]
    for kind, wait_ms, count in waits:
        for n in range(count):
            contact = f"{kind}-{wait_ms}-{n}"
            feed.queued(0, contact)
            if kind == "answered":
                feed.answered(wait_ms / 1000, contact, queue="sales", wait_ms=wait_ms)
            else:
                feed.left(wait_ms / 1000, contact, wait_ms=wait_ms)
    metrics = feed.metrics("queue", "sales")
    levels = {name: round(level * 100, 1) for name, level in metrics["service_levels"].items()}
    assert levels == {
        "abandons_in_threshold_positive": 83.0,
        "ignore_abandons": 86.0,
        "abandons_negative": 81.1,
        "abandons_in_threshold_ignored": 82.7,
        "short_abandons_positive": 82.1,
        "short_abandons_excluded": 81.9,
    }
    assert metrics["service_level"] == metrics["service_levels"]["abandons_negative"]
    assert metrics["short_abandoned"] == 10


def transferred() -> Feed:
    """Sales to tech: 10 s and 30 s of waiting, 90 s and 200 s of talk, a sale by the second leg."""
    feed = Feed().roster("ann", "north").roster("bob", "south")
    feed.queued(0).answered(10, agent="ann")
    passed = ev.Transferred("c", "ann", "queue", to_queue="tech")
    feed.add(ev.CallTransferred, 100, passed).queued(100, queue="tech")
    feed.answered(130, agent="bob").ended(330, agent_id="bob")
    feed.add(ev.WrapupStartedEvent, 330, ev.WrapupStarted("c", "bob"))
    feed.add(ev.WrapupEndedEvent, 360, ev.WrapupEnded("c", "bob"))
    return feed.outcome(350, converted=True, value_minor=4900)


COUNTED = (
    "offered",
    "contacts",
    "answered",
    "abandoned",
    "handled",
    "transferred_out",
    "transferred_in",
)


@pytest.mark.parametrize(
    ("by", "name", "expected"),
    [
        ("queue", "sales", (1, 1, 1, 0, 1, 1, 0)),
        ("queue", "tech", (1, 0, 1, 0, 1, 0, 1)),
        ("floor", "floor", (2, 1, 2, 0, 2, 1, 1)),
    ],
)
def test_a_transfer_is_two_segments_of_one_contact(
    by: str, name: str, expected: tuple[int, ...]
) -> None:
    metrics = transferred().metrics(by, name)
    assert tuple(metrics[each] for each in COUNTED) == expected


def test_times_and_sale_of_a_transfer_are_of_their_segments() -> None:
    names = ["queue_wait_mean_seconds", "service_level", "talk_mean_seconds", "wrap_mean_seconds"]
    names += ["handle_time_mean_seconds", "eligible", "converted", "conversion", "value_minor"]
    sales = shown(transferred().metrics("queue", "sales"), *names)
    tech = shown(transferred().metrics("queue", "tech"), *names)
    assert list(sales.values()) == [10.0, 1.0, 90.0, 0.0, 90.0, 0, 0, None, 0]
    assert list(tech.values()) == [30.0, 0.0, 200.0, 30.0, 230.0, 1, 1, 1.0, 4900]
    assert transferred().metrics("floor", "floor")["service_level"] == 0.5


def test_a_transfer_counts_for_agents_and_teams() -> None:
    assert transferred().metrics("agent", "ann")["transferred_out"] == 1
    assert transferred().metrics("agent", "bob")["transferred_in"] == 1
    names = ("answered", "handled", "converted", "talk_total_seconds")
    assert shown(transferred().metrics("team", "south"), *names) == {
        "answered": 1, "handled": 1, "converted": 1, "talk_total_seconds": 200.0,
    }  # fmt: skip
    assert [line.entity.team for line in transferred().lines(by="agent")] == ["north", "south"]


def test_a_missing_queued_is_derived_from_the_wait() -> None:
    feed = Feed().answered(50, queue="sales", wait_ms=12_000).ended(110, agent_id="ann")
    (line,) = feed.lines(by="queue", window="15m", attribution="start")
    names = ("offered", "answered", "queue_wait_mean_seconds", "talk_mean_seconds")
    assert list(shown(line.metrics, *names).values()) == [1, 1, 12.0, 60.0]
    (whole,) = feed.lines(by="queue")
    assert whole.window.start_ms == ms(38)


def test_a_missing_answered_is_derived_from_the_end() -> None:
    feed = Feed().queued(0)
    feed.ended(80, agent_id="ann", queue="sales", wait_ms=15_000, talk_ms=60_000)
    names = ("offered", "answered", "queue_wait_mean_seconds", "service_level", "handled")
    metrics = feed.metrics("queue", "sales")
    assert list(shown(metrics, *names).values()) == [1, 1, 15.0, 1.0, 1]
    assert metrics["talk_mean_seconds"] == 60.0
    assert metrics["unreconciled"] == 0


def test_abandoned_and_other_exits_are_apart() -> None:
    feed = Feed()
    for contact, wait, reason in (
        ("a", 4, "abandoned"), ("b", 25, "abandoned"), ("c", 60, "timeout"), ("d", 9, "key"),
    ):  # fmt: skip
        feed.queued(0, contact).left(wait, contact, reason=reason)
    feed.add(ev.CallRejected, 5, ev.Rejected("e", "sales", "closed"))
    metrics = feed.metrics("queue", "sales")
    names = ("offered", "contacts", "abandoned", "short_abandoned", "other_exits", "rejected")
    assert list(shown(metrics, *names).values()) == [
        4, 4, 2, 1, {"timeout": 1, "key": 1}, {"closed": 1},
    ]  # fmt: skip
    assert metrics["abandoned_wait_mean_seconds"] == 14.5
    assert metrics["queue_wait_mean_seconds"] is None
    assert metrics["service_level"] == 0.0


def test_waits_are_whole_seconds_rounded_up() -> None:
    feed = Feed()
    for n, wait_ms in enumerate((1_000, 1_001, 2_500, 19_999, 40_000)):
        feed.queued(0, f"c{n}").answered(wait_ms / 1000, f"c{n}", wait_ms=wait_ms)
    metrics = feed.metrics("queue", "sales")
    names = ("p50", "p90", "p95", "max")
    assert [metrics[f"queue_wait_{name}_seconds"] for name in names] == [3, 40, 40, 40]
    assert metrics["queue_wait_mean_seconds"] == 12.9
    assert metrics["service_level"] == 0.8


def handled(outcome_at: float = 200.0) -> Feed:
    feed = Feed().queued(0).answered(10).ended(110, agent_id="ann")
    return feed.outcome(outcome_at, id="o", converted=True, value_minor=100)


def test_a_late_sale_restates_the_window_of_its_segment() -> None:
    lines = handled(outcome_at=7_000).lines(by="queue", window="15m")
    figures = [(line.window.start_ms, line.metrics["converted"]) for line in lines]
    assert figures == [(ms(0), 1)]


def test_a_restated_outcome_replaces_the_first() -> None:
    feed = handled().outcome(300, id="o", revision=1, converted=False)
    metrics = feed.metrics("queue", "sales")
    names = ("eligible", "converted", "conversion", "value_minor")
    assert list(shown(metrics, *names).values()) == [1, 0, 0.0, 0]


def test_an_outcome_that_is_not_eligible_leaves_no_denominator() -> None:
    feed = Feed().queued(0).answered(10).ended(110, agent_id="ann").outcome(120, eligible=False)
    assert feed.metrics("queue", "sales")["conversion"] is None


def test_planned_wrapup_completes_the_segment_by_itself() -> None:
    feed = Feed().queued(0).answered(10).ended(895, agent_id="ann")
    feed.add(ev.WrapupStartedEvent, 895, ev.WrapupStarted("c", "ann", planned_ms=30_000))
    first, second = feed.lines(by="queue", window="15m")
    assert (first.metrics["answered"], first.metrics["handled"]) == (1, 0)
    assert (second.window.start_ms, second.metrics["handled"]) == (ms(900), 1)
    assert second.metrics["wrap_mean_seconds"] == 30.0
    assert second.metrics["handle_time_mean_seconds"] == 885.0 + 30.0


def test_hold_is_no_talk() -> None:
    feed = Feed().queued(0).answered(10)
    feed.add(ev.CallHeld, 20, ev.Held("c", "ann")).add(ev.CallResumed, 50, ev.Resumed("c", "ann"))
    metrics = feed.ended(110, agent_id="ann").metrics("queue", "sales")
    names = ("talk_mean_seconds", "hold_mean_seconds", "handle_time_mean_seconds", "hold_known")
    assert list(shown(metrics, *names).values()) == [70.0, 30.0, 100.0, True]
    plain = Feed().queued(0).answered(10).ended(110, agent_id="ann").metrics("queue", "sales")
    assert (plain["hold_mean_seconds"], plain["hold_known"]) == (0.0, False)


def test_an_unknown_agent_is_unassigned() -> None:
    feed = Feed().queued(0).answered(10, agent="stranger").ended(70, agent_id="stranger")
    (line,) = feed.lines(by="agent")
    assert (line.entity.id, line.entity.team) == ("stranger", "unassigned")
    assert feed.metrics("team", "unassigned")["handled"] == 1


def test_the_team_is_the_one_at_answer_time_and_the_events_own_wins() -> None:
    feed = Feed().roster("ann", "north").roster("ann", "south", valid_from=1_000)
    feed.queued(0, "c1").answered(10, "c1").ended(70, "c1", agent_id="ann")
    feed.queued(2_000, "c2").answered(2_010, "c2").ended(2_070, "c2", agent_id="ann")
    feed.queued(3_000, "c3").answered(3_010, "c3", team="guests").ended(3_070, "c3", agent_id="ann")
    teams = {line.entity.id: line.metrics["handled"] for line in feed.lines(by="team")}
    assert teams == {"north": 1, "south": 1, "guests": 1}
    assert len(feed.lines(by="agent")) == 3


def test_a_leg_without_a_queue_is_its_agents_alone() -> None:
    feed = Feed().answered(10, "direct").ended(70, "direct", agent_id="ann").queued(0, "other")
    assert feed.metrics("agent", "ann")["handled"] == 1
    assert feed.metrics("floor", "floor")["handled"] == 0
    assert feed.metrics("queue", "sales")["offered"] == 1


def test_a_campaign_counts_what_its_queues_count_for_it() -> None:
    feed = Feed().queued(0, "c1", campaign="spring").answered(10, "c1")
    feed.ended(70, "c1", agent_id="ann").queued(0, "c2")
    metrics = feed.metrics("campaign", "spring")
    assert [metrics[n] for n in ("offered", "answered", "handled")] == [1, 1, 1]


def test_what_waits_is_live_in_the_last_window_only() -> None:
    feed = Feed().queued(0, "c1").answered(10, "c1").ended(70, "c1", agent_id="ann")
    feed.queued(1_000, "c2").queued(1_030, "c3")
    past, current = feed.lines(by="queue", window="15m", as_of_ms=ms(1_060))
    assert past.metrics["waiting_now"] is past.metrics["service_level_live"] is None
    names = ("waiting_now", "longest_wait_seconds", "oldest_queued_at", "service_level_live")
    assert list(shown(current.metrics, *names).values()) == [
        2, 60.0, "2026-11-22T08:16:40.000Z", 0.0,
    ]  # fmt: skip
    assert past.metrics.keys() == current.metrics.keys()


def test_what_the_source_itself_reports_stands_beside() -> None:
    feed = Feed().queued(0)
    snapshot = ev.QueueSnapshot("sales", (("x", ev.EPOCH), ("y", ev.EPOCH), ("z", ev.EPOCH)))
    feed.add(ev.QueueSnapshotEvent, 60, snapshot)
    metrics = feed.metrics("queue", "sales")
    assert (metrics["waiting_now"], metrics["waiting_reported"]) == (1, 3)


def test_later_events_are_no_part_of_a_report_as_of_before() -> None:
    feed = Feed().queued(0).answered(10).ended(110, agent_id="ann")
    metrics = feed.metrics("queue", "sales", as_of_ms=ms(60))
    assert (metrics["answered"], metrics["handled"], metrics["in_progress"]) == (1, 0, 1)
    assert feed.lines(by="queue", as_of_ms=ms(-60)) == []


@pytest.mark.parametrize(("attribution", "answered"), [("event", [0, 1]), ("start", [1])])
def test_attribution(attribution: str, answered: list[int]) -> None:
    feed = Feed().queued(895).answered(905).ended(950, agent_id="ann")
    lines = feed.lines(by="queue", window="15m", attribution=attribution, as_of_ms=ms(899))
    assert [line.metrics["offered"] for line in lines] == [1]
    lines = feed.lines(by="queue", window="15m", attribution=attribution)
    assert [line.metrics["answered"] for line in lines] == answered
    assert [line.metrics["handled"] for line in lines] == answered


def test_a_queues_own_terms_and_explicit_ones() -> None:
    feed = Feed().configured(
        "sales", service_level_seconds=30, service_level_formula="ignore_abandons"
    )
    feed.queued(0, "c1").answered(25, "c1").queued(0, "c2").left(4, "c2")
    feed.queued(0, "c3", queue="tech").answered(25, "c3")
    names = ("service_level", "service_level_seconds", "short_abandoned", "service_level_formula")
    own = shown(feed.metrics("queue", "sales"), *names)
    assert list(own.values()) == [1.0, 30, 1, "ignore_abandons"]
    assert feed.metrics("queue", "tech")["service_level"] == 0.0
    asked = {"service_level_seconds": 10, "short_abandon_seconds": 3}
    explicit = shown(feed.metrics("queue", "sales", **asked), *names)
    assert list(explicit.values()) == [0.0, 10, 0, "ignore_abandons"]


def test_tenants_are_apart() -> None:
    feed = Feed().queued(0)
    feed.add(ev.CallQueued, 0, ev.Queued("c", "sales"), tenant="other")
    lines = feed.lines(by="queue")
    assert [(line.entity.tenant, line.metrics["offered"]) for line in lines] == [
        ("default", 1), ("other", 1),
    ]  # fmt: skip

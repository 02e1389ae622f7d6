"""Agents' time and the windows it falls into: days of 23, 24 and 25 hours."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cc_stream import events as ev
from cc_stream.events import to_ms
from cc_stream.report.periods import Periods
from tests.report.feed import START_MS, Feed, moment, ms

HOUR = 3_600


def times(metrics: dict[str, Any]) -> list[float]:
    return [metrics[f"{name}_seconds"] for name in ("login", "pause", "wrap")]


def shift() -> Feed:
    """600 s available, 300 on a contact, 60 in wrap-up, 240 on a break, then gone."""
    feed = Feed().roster("ann", "north").state(0, "available").state(600, "on_contact")
    return feed.state(900, "wrapup").state(960, "break").state(1_200, "offline")


@pytest.mark.parametrize(("by", "name"), [("agent", "ann"), ("team", "north"), ("floor", "floor")])
def test_time_of_a_shift(by: str, name: str) -> None:
    metrics = shift().metrics(by, name)
    assert times(metrics) == [1_200.0, 240.0, 60.0]
    assert metrics["occupancy"] == 360 / 960
    assert metrics["utilisation"] == 960 / 1_200


def test_ringing_is_ready_time_and_training_is_pause() -> None:
    feed = Feed().state(0, "ringing").state(10, "training").state(40, "offline")
    metrics = feed.metrics("agent", "ann")
    assert times(metrics) == [40.0, 30.0, 0.0]
    assert metrics["occupancy"] == 0.0


def test_nothing_but_offline_has_no_occupancy() -> None:
    metrics = Feed().state(0, "offline").state(100, "offline").metrics("agent", "ann")
    assert metrics["occupancy"] is None
    assert times(metrics) == [0.0, 0.0, 0.0]


def test_as_of_closes_an_open_state() -> None:
    feed = Feed().state(0, "available")
    assert times(feed.metrics("agent", "ann", as_of_ms=ms(500))) == [500.0, 0.0, 0.0]
    assert feed.metrics("agent", "ann", as_of_ms=ms(500))["agents_available"] == 1


def test_a_lost_logoff_ends_after_the_maximum_age() -> None:
    metrics = Feed().state(0, "available").metrics("agent", "ann", as_of_ms=ms(100 * HOUR))
    assert times(metrics) == [16.0 * HOUR, 0.0, 0.0]
    assert metrics["agents_available"] == 0


def test_quarters_of_an_hour_share_a_state_by_overlap() -> None:
    lines = shift().lines(by="agent", window="15m")
    assert [(line.window.start_ms, *times(line.metrics)) for line in lines] == [
        (ms(0), 900.0, 0.0, 0.0),
        (ms(900), 300.0, 240.0, 60.0),
    ]


def test_an_open_state_counts_in_the_windows_that_are_over_too() -> None:
    lines = Feed().state(600, "available").lines(by="agent", window="15m", as_of_ms=ms(2_000))
    assert [times(line.metrics)[0] for line in lines] == [300.0, 900.0, 200.0]


def test_an_agent_of_two_teams_has_a_row_in_each_and_counts_once_on_the_floor() -> None:
    feed = Feed().state(0, "available", team="north").state(100, "available", team="south")
    feed.state(300, "offline", team="south")
    lines = {line.entity.team: times(line.metrics)[0] for line in feed.lines(by="agent")}
    assert lines == {"north": 100.0, "south": 200.0}
    assert feed.metrics("floor", "floor")["login_seconds"] == 300.0


def test_a_snapshot_fills_in_a_change_that_was_lost() -> None:
    feed = Feed().state(0, "available")
    snapshot = ev.AgentSnapshot("ann", "break", moment(200))
    metrics = feed.add(ev.AgentSnapshotEvent, 300, snapshot).metrics("agent", "ann")
    assert times(metrics) == [300.0, 100.0, 0.0]
    told_before = ev.AgentSnapshot("bob", "available", moment(-600))
    (line,) = Feed().add(ev.AgentSnapshotEvent, 0, told_before).lines(by="agent")
    assert line.window.start_ms == ms(-600)
    assert times(line.metrics)[0] == 600.0


def test_an_agent_of_two_queues_is_available_in_both_and_once_on_the_floor() -> None:
    feed = Feed().state(0, "available", queues=("sales", "tech"))
    queues = {line.entity.id: line.metrics["agents_available"] for line in feed.lines(by="queue")}
    assert queues == {"sales": 1, "tech": 1}
    assert feed.metrics("floor", "floor")["agents_available"] == 1


def at(zone: str, year: int, month: int, day: int, minutes: int = 0) -> int:
    local = datetime(year, month, day, minutes // 60, minutes % 60, tzinfo=ZoneInfo(zone))
    return to_ms(local.astimezone(UTC))


def between(begin_ms: int, end_ms: int) -> Feed:
    feed = Feed().state((begin_ms - START_MS) / 1000, "available")
    return feed.state((end_ms - START_MS) / 1000, "offline")


def test_a_state_goes_on_after_midnight() -> None:
    zone = "Europe/Berlin"
    feed = between(at(zone, 2026, 11, 21, 23 * 60 + 30), at(zone, 2026, 11, 22, 90))
    days = feed.lines(by="agent", window="1d", timezone=zone)
    assert [(line.window.start_ms, times(line.metrics)[0]) for line in days] == [
        (at(zone, 2026, 11, 21), 0.5 * HOUR),
        (at(zone, 2026, 11, 22), 1.5 * HOUR),
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Europe/Berlin", (2026, 11, 22), 24),
        ("Asia/Kathmandu", (2026, 11, 22), 24),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Africa/Cairo", (2026, 4, 24), 23),  # midnight itself does not exist
    ],
)
def test_days_and_hours_where_clocks_change(
    zone: str, day: tuple[int, int, int], hours: float
) -> None:
    begin, end = at(zone, *day), at(zone, day[0], day[1], day[2] + 1)
    # The state is cut off after its maximum age, so two make up the day.
    noon = begin + 12 * HOUR * 1000
    feed = between(begin, noon)
    feed.state((noon - START_MS) / 1000, "break").state((end - START_MS) / 1000, "offline")
    feed.events = feed.events[:1] + feed.events[2:]
    (line,) = feed.lines(by="agent", window="1d", timezone=zone)
    assert (line.window.end_ms - line.window.start_ms) / 3_600_000 == hours
    assert times(line.metrics)[0] == hours * HOUR
    parts = feed.lines(by="agent", window="1h", timezone=zone)
    assert sum(times(part.metrics)[0] for part in parts) == hours * HOUR
    assert all(a.window.end_ms == b.window.start_ms for a, b in pairwise(parts))


def test_hours_are_those_of_the_zone() -> None:
    window = Periods("1h", ZoneInfo("Asia/Kathmandu")).at(START_MS)  # 13:45 there
    assert window.start_ms == START_MS - 45 * 60_000
    assert window.end_ms == START_MS + 15 * 60_000

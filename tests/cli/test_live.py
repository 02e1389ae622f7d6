"""From views, boards and metrics to what the screen shows."""

import pytest

from cc_stream.cli.floor_data import AgentLine, QueueLine, TeamLine
from cc_stream.cli.live import (
    Reading,
    agent_lines,
    by_entity,
    flow,
    queue_line,
    team_line,
)
from cc_stream.cli.scrape import Scrape, parsed
from cc_stream.leaderboard import Leaderboard, Standing
from cc_stream.sinks.sink import ShardStatus
from cc_stream.view import Entity, View

NOW_MS = 1_780_000_000_000
INF = float("inf")


def view(kind: str, name: str, window: str, part: int | None = None, **metrics: object) -> View:
    """A view with some figures."""
    entity = Entity("default", kind, name)
    figures: dict[str, object] = dict(metrics)
    return View(entity, window, None, None, NOW_MS, NOW_MS, "1", figures, part=part)  # type: ignore[arg-type]


def test_a_queue_is_read_from_its_three_views() -> None:
    views = [
        view("queue", "sales", "live", waiting_now=3, oldest_queued_at="2026-05-28T20:26:30.000Z"),
        view("queue", "sales", "15m", service_level=0.7, answered=1),
        view("queue", "sales", "today", service_level=0.8, offered=9, answered=7, abandoned=2),
        view("floor", "floor", "live", part=0, waiting_now=1),
    ]
    figures = by_entity(views)
    assert list(figures) == [Entity("default", "queue", "sales")]
    assert queue_line("sales", figures[Entity("default", "queue", "sales")]) == QueueLine(
        name="sales",
        waiting_now=3,
        oldest_queued_at_ms=NOW_MS - 10_000,
        service_level_15m=0.7,
        service_level_today=0.8,
        offered=9,
        answered=7,
        abandoned=2,
    )


def test_what_is_missing_is_not_known() -> None:
    assert queue_line("sales", {}) == QueueLine(name="sales")
    assert team_line("north", {}) == TeamLine(name="north")


def test_a_team_is_read_from_its_views() -> None:
    figures = by_entity(
        [
            view("team", "north", "live", agents_by_state={"available": 2}),
            view("team", "north", "15m", occupancy=0.9),
            view("team", "north", "today", handled=5, conversion=0.2, eligible=5),
        ]
    )
    line = team_line("north", figures[Entity("default", "team", "north")])
    assert line == TeamLine(
        name="north",
        agents={"available": 2},
        handled=5,
        occupancy=0.9,
        conversion=0.2,
        eligible=5,
    )


def board(name: str, scope: str, window: str) -> Leaderboard:
    """A board with one ranked row and one that is not."""
    rows = (
        Standing("agent-1", "north", 1, 0.3, 0.5, 12, 1, ranked=True),
        Standing("agent-2", "north", None, 0.1, 1.0, 2, None, ranked=False, reason="not yet"),
    )
    return Leaderboard(
        "default", scope, "floor", name, window, 0, 1, NOW_MS, NOW_MS, "1", rows  # type: ignore[arg-type]
    )  # fmt: skip


def test_agents_are_those_of_the_floor_by_conversion_today() -> None:
    boards = [
        board("handled", "floor", "today"),
        board("conversion", "team", "today"),
        board("conversion", "floor", "60m"),
    ]
    assert agent_lines(boards, {}) == ((), 0)
    boards.append(board("conversion", "floor", "today"))
    line = AgentLine(
        rank=1, name="Ada Abel", team="north", conversion=0.5, converted=6, eligible=12
    )
    assert agent_lines(boards, {"agent-1": "Ada Abel"}) == ((line,), 1)


STATUSES = [
    ShardStatus(NOW_MS, NOW_MS, "1", lag=2, events=10, delay_ms=80),
    ShardStatus(NOW_MS, NOW_MS, "1", lag=3, events=10, delay_ms=None),
]


def test_flow_is_a_difference() -> None:
    readings = [
        Reading(NOW_MS, 100, {0.1: 5.0, 0.2: 5.0, INF: 5.0}),
        Reading(NOW_MS + 10_000, 350, {0.1: 5.0, 0.2: 105.0, INF: 105.0}),
    ]
    exposed = 'cc_shard_lag_records{topic="t",partition="0"} 7\n'
    told = flow(readings, Scrape(tuple(parsed(exposed))), STATUSES)
    assert told.events_per_second == 25
    assert told.delay_p50_seconds == pytest.approx(0.15)
    assert told.delay_p99_seconds == pytest.approx(0.199)
    assert told.lag_records == 7


def test_flow_without_metrics_is_told_by_the_shards() -> None:
    told = flow([Reading(NOW_MS, 20, {})], Scrape(), STATUSES)
    assert told.events_per_second is None
    assert told.delay_p50_seconds == 0.08
    assert told.delay_p99_seconds is None
    assert told.lag_records == 5


def test_a_restarted_shard_gives_no_rate() -> None:
    readings = [Reading(NOW_MS, 100, {}), Reading(NOW_MS + 10_000, 3, {})]
    assert flow(readings, Scrape(), STATUSES).events_per_second is None


@pytest.mark.parametrize(("span_ms", "rate"), [(0, None), (4_999, None), (5_000, 10)])
def test_a_rate_needs_some_seconds(span_ms: int, rate: float | None) -> None:
    readings = [Reading(NOW_MS, 100, {}), Reading(NOW_MS + span_ms, 150, {})]
    assert flow(readings, Scrape(), STATUSES).events_per_second == rate

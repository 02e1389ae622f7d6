"""The whole floor out of its parts: a sum, read once, under the floor's own terms."""

from msgspec.structs import replace

from cc_stream.counts import Vector, add_into
from cc_stream.metrics.answered import ANSWERED
from cc_stream.metrics.offered import OFFERED
from cc_stream.metrics.queue_wait import ANSWERED_WAITS
from cc_stream.metrics.waiting import WAITING
from cc_stream.panes import Window
from cc_stream.reference import Terms
from cc_stream.sinks.reader import floor_views, whole_boards
from cc_stream.view import (
    LIVE_VIEW,
    Entity,
    View,
    figures,
    live_metrics,
    named,
    window_metrics,
)
from tests.contracts.test_view_store import MINUTE, NOW, board, order, standing, view

TERMS = Terms(service_level_seconds=10)
FLOOR = Entity("acme", "floor", "floor")
VECTORS: tuple[Vector, ...] = (
    {OFFERED.key: 5, ANSWERED.key: 4, ANSWERED_WAITS.key | 3: 3, ANSWERED_WAITS.key | 15: 1},
    {OFFERED.key: 2, ANSWERED.key: 2, ANSWERED_WAITS.key | 3: 2},
    {},
)
LIVE: tuple[Vector, ...] = (
    {WAITING.key | NOW - 30_000: 1},
    {WAITING.key | NOW - 30_000: 1, WAITING.key | NOW - 5_000: 2},
    {},
)


def part(number: int, **changes: object) -> View:
    one = view(
        number,
        entity=FLOOR,
        part=number,
        metrics={},
        vector=named(VECTORS[number]),
        live_vector=named(LIVE[number]),
    )
    return replace(one, **changes)


def total(vectors: tuple[Vector, ...]) -> Vector:
    out: Vector = {}
    for vector in vectors:
        add_into(out, vector)
    return out


def test_the_floor_is_read_from_the_sum_of_its_parts() -> None:
    (floor,) = floor_views([part(n) for n in (2, 0, 1)], TERMS)
    of = figures("floor", Window(NOW - 5 * MINUTE, NOW), NOW, total(VECTORS), total(LIVE), TERMS)
    assert floor.metrics == window_metrics(of)
    assert (floor.metrics["offered"], floor.metrics["service_level_live"]) == (7, 5 / 8)
    assert (floor.part, floor.order, floor.entity) == (None, order(2), FLOOR)


def test_the_live_floor_has_the_live_figures() -> None:
    parts = [part(n, window=LIVE_VIEW, start_ms=None, end_ms=None) for n in range(3)]
    (floor,) = floor_views(parts, TERMS)
    of = figures("floor", Window(0, 1), NOW, {}, total(LIVE), TERMS)
    assert floor.metrics == live_metrics(of)
    assert (floor.metrics["waiting_now"], floor.metrics["longest_wait_seconds"]) == (4, 30.0)


def test_windows_and_tenants_are_apart_and_other_views_are_left_alone() -> None:
    other = part(0, entity=Entity("other", "floor", "floor"))
    views = [part(0), part(1), part(0, window="15m"), other, view(), part(2, vector=None)]
    assert [(v.entity.tenant, v.window, v.metrics["offered"]) for v in floor_views(views)] == [
        ("acme", "15m", 5),
        ("acme", "5m", 7),
        ("other", "5m", 5),
    ]
    assert floor_views([]) == []


def test_a_part_that_lags_counts_until_its_window_is_past() -> None:
    minute_old = part(1, start_ms=NOW - 6 * MINUTE, end_ms=NOW - MINUTE, as_of_ms=NOW - MINUTE)
    (floor,) = floor_views([part(0), minute_old], TERMS)
    assert (floor.metrics["offered"], floor.as_of_ms, floor.end_ms) == (7, NOW, NOW)
    past = part(1, start_ms=NOW - 10 * MINUTE, end_ms=NOW - 5 * MINUTE)
    (floor,) = floor_views([part(0), past], TERMS)
    # What waits there goes on waiting: two misses, one of each part.
    assert (floor.metrics["offered"], floor.metrics["service_level_live"]) == (5, 3 / 6)


def test_a_board_that_this_version_does_not_know_is_left_out() -> None:
    known, unknown = board(standing("a", 1.0)), board(standing("a", 1.0), name="from-the-future")
    assert [one.name for one in whole_boards([unknown, known])] == ["handled"]

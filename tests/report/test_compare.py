"""What is live against the report: equal over the whole line, and every fault is found."""

from collections.abc import Sequence

import orjson
import pytest
from msgspec.structs import replace

from cc_stream.leaderboard import Leaderboard
from cc_stream.report.collect import Collected
from cc_stream.report.compare import Comparison, compare
from cc_stream.report.oracle import Rules
from cc_stream.sinks.reader import whole_boards
from cc_stream.view import LIVE_VIEW, View
from tests.streams.test_topology import world_of
from tests.streams.topology import World


class Shown:
    """What a settled line shows."""

    def __init__(self, world: World) -> None:
        self.rules = Rules(terms=world.terms)
        self.collected: Collected = world.collect()
        self.views: list[View] = []
        parts: list[Leaderboard] = []
        for board in world.boards():
            board.repeat_whole()
            update = board.tick(world.now_ms)
            if update is not None:
                self.views += update.views
                parts += update.leaderboards
        self.boards = whole_boards(parts)
        topic = world.topics.contacts
        self.contacts = {
            record.key.decode(): orjson.loads(record.value)
            for partition in range(topic.partitions)
            for record in world.log(topic.name, partition)
            if record.key is not None and record.value is not None
        }

    def compare(
        self, views: Sequence[View] | None = None, boards: Sequence[Leaderboard] | None = None
    ) -> Comparison:
        return compare(
            self.collected,
            self.views if views is None else views,
            self.contacts,
            self.boards if boards is None else boards,
            self.rules,
        )


@pytest.fixture(scope="module")
def shown() -> Shown:
    world = world_of(seed=3, hours=3)
    world.settle()
    return Shown(world)


def view_of(shown: Shown, kind: str, window: str) -> View:
    return next(v for v in shown.views if v.entity.kind == kind and v.window == window)


def test_the_whole_line_equals_the_report(shown: Shown) -> None:
    found = shown.compare()
    assert found.differ == []
    assert found.is_proof
    assert all(found.compared.values())
    total = sum(found.compared.values())
    assert found.text().splitlines()[0] == f"live = report: {total} values compared, 0 differ"


def test_nothing_compared_is_no_proof(shown: Shown) -> None:
    empty = compare(Collected(shown.collected.limits), [], {})
    assert empty.differ == []
    assert not empty.is_proof


@pytest.mark.parametrize(("kind", "window"), [("queue", "5m"), ("team", "today"), ("agent", "60m")])
def test_one_wrong_value_is_found(shown: Shown, kind: str, window: str) -> None:
    view = view_of(shown, kind, window)
    handled = view.metrics["handled"]
    assert isinstance(handled, int)
    wrong = replace(view, metrics={**view.metrics, "handled": handled + 1})
    found = shown.compare([wrong if v is view else v for v in shown.views])
    assert [(d.what, d.name, d.live, d.report) for d in found.differ] == [
        ("windows", "handled", handled + 1, handled)
    ]
    assert "handled: live" in found.text()


def test_a_missing_metric_and_one_too_many_differ(shown: Shown) -> None:
    view = view_of(shown, "queue", LIVE_VIEW)
    metrics = {**view.metrics, "invented": 1}
    del metrics["waiting_now"]
    found = shown.compare([replace(v, metrics=metrics) if v is view else v for v in shown.views])
    assert sorted(d.name for d in found.differ) == ["invented", "waiting_now"]


def test_a_missing_view_differs(shown: Shown) -> None:
    view = view_of(shown, "queue", "today")
    found = shown.compare([v for v in shown.views if v is not view])
    assert [(d.what, d.live) for d in found.differ] == [("windows", "not there")]


def test_a_view_of_nobody_differs_unless_it_is_all_zero(shown: Shown) -> None:
    view = view_of(shown, "agent", "today")
    ghost = replace(view.entity, id="ghost")
    assert shown.compare([*shown.views, replace(view, entity=ghost)]).differ
    nothing = compare(Collected(shown.collected.limits), [], {})
    assert nothing.differ == []


def test_another_window_than_the_name_says_differs(shown: Shown) -> None:
    view = view_of(shown, "queue", "5m")
    assert view.start_ms is not None
    wrong = replace(view, start_ms=view.start_ms - 10_000)
    found = shown.compare([wrong if v is view else v for v in shown.views])
    assert "window" in {d.name for d in found.differ}


def test_parts_of_the_floor_have_to_be_of_one_moment(shown: Shown) -> None:
    view = view_of(shown, "floor", "5m")
    late = replace(view, as_of_ms=view.as_of_ms - 1)
    found = shown.compare([late if v is view else v for v in shown.views])
    assert [(d.what, d.live) for d in found.differ] == [("windows", "parts of 2 moments")]


def test_a_part_that_counts_something_else_differs(shown: Shown) -> None:
    view = view_of(shown, "floor", "today")
    assert view.vector is not None
    vector = {**view.vector, "offered": view.vector.get("offered", 0) + 1}
    found = shown.compare([replace(v, vector=vector) if v is view else v for v in shown.views])
    assert {"vector", "offered"} <= {d.name for d in found.differ}


def test_contacts_are_compared_field_by_field(shown: Shown) -> None:
    key = next(iter(shown.contacts))
    record = shown.contacts[key]
    contacts = {**shown.contacts, key: {**record, "revision": 99}, "default/nobody": {}}
    found = compare(shown.collected, shown.views, contacts, shown.boards, shown.rules)
    assert sorted((d.key, d.name) for d in found.differ) == sorted(
        [(key, "revision"), ("default/nobody", "")]
    )


def test_leaderboards_are_compared_row_by_row(shown: Shown) -> None:
    board = next(b for b in shown.boards if len(b.standings) > 1)
    swapped = replace(board, standings=(board.standings[1], board.standings[0]))
    found = shown.compare(boards=[swapped if b is board else b for b in shown.boards])
    assert {d.what for d in found.differ} == {"leaderboards"}
    gone = shown.compare(boards=[b for b in shown.boards if b is not board])
    assert [d.live for d in gone.differ] == ["not there"]

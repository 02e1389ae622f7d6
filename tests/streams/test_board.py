"""A board shard by itself: batches by number, ticks, alerts, what a restart remembers."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import Any, NamedTuple

import msgspec
import pytest

from cc_stream.alerts import AlertLevels
from cc_stream.deltas import Batch, Tick, encode
from cc_stream.events import AGENT_STATES
from cc_stream.metrics.agent_time import OPEN_STATES
from cc_stream.metrics.handled import HANDLED
from cc_stream.metrics.offered import OFFERED
from cc_stream.metrics.waiting import WAITING
from cc_stream.panes import FINE_MS
from cc_stream.reference import Terms
from cc_stream.tally import LIVE
from cc_stream.topics import topics
from cc_stream.view import View
from streams.board import TICK_KEY, Board, BoardPlan, MissingDeltasError
from streams.board.board import TURNS
from streams.stage import Write

NOW_MS = 1_795_500_004_321
SECOND_MS = 1_000
HOUR_MS = 3_600_000
SALES = ("queue", "default", "sales")
PLAN = BoardPlan(topics(), Terms(), AlertLevels(waiting_now=2), "60m", 10, 20, 0)


class Sent(NamedTuple):
    """A record of the deltas topic."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    topic: str = "cc.deltas.v1"
    partition: int = 0
    timestamp: int = NOW_MS
    headers: tuple[tuple[str, bytes], ...] = ()


def batch(number: int, *vectors: Any, source: str = "calls-0", **other: Any) -> bytes:
    given: dict[str, Any] = {
        "sources": {"/pbx": NOW_MS},
        "arrived_ms": NOW_MS,
        "history": False,
        "events": 1,
        "times": [],
        "reference": [],
    }
    return encode(Batch(source, NOW_MS, number, vectors=list(vectors), **(given | other)))


def board(now_ms: int = NOW_MS) -> Board:
    made = Board(PLAN, 0, now_ms)
    made.started(NOW_MS, 0)
    return made


def waiting(n: int, since_ms: int = NOW_MS) -> tuple[Any, ...]:
    return (SALES, LIVE, {WAITING.key | since_ms: n})


def stored(writes: Iterable[Write]) -> dict[bytes | None, bytes | None]:
    topic = PLAN.topics.panes_changelog.name
    return {write.key: write.value for write in writes if write.topic == topic}


@pytest.mark.parametrize("taken", range(6))
@pytest.mark.parametrize("passed_ms", [0, 120_000, 2 * HOUR_MS])
def test_a_cut_is_of_its_moment_whatever_comes_while_it_is_written(
    taken: int, passed_ms: int
) -> None:
    agent = ("agent", "default", "ann", "north")
    pane = NOW_MS // FINE_MS - 1
    rows = [(row, at, {HANDLED.key: 1}) for row in (agent, SALES) for at in (pane, pane - 355)]
    rows += [waiting(1), waiting(1, NOW_MS - 48 * HOUR_MS + SECOND_MS)]
    one, like = board(), board()
    for each in (one, like):
        each.apply([Sent(0, batch(1, *rows))])
    writes = iter(one.cut(NOW_MS).writes)
    first = list(islice(writes, taken))
    if passed_ms:  # panes are dropped, and after hours what has waited for two days
        one.tick(NOW_MS + passed_ms)
    else:
        one.apply([Sent(1, batch(2, *rows, (SALES, pane + 1, {HANDLED.key: 1})))])
    assert stored([*first, *writes]) == stored(like.cut(NOW_MS).writes)
    assert one.is_dirty(NOW_MS + passed_ms)


def restarted(old: Board, now_ms: int) -> Board:
    """A new board out of what the old one writes."""
    cut = old.cut(now_ms)
    cut.committed()
    new = board(now_ms)
    items = [
        (write.key, write.value)
        for write in cut.writes
        if write.topic == PLAN.topics.panes_changelog.name
        and write.key is not None
        and write.value is not None
    ]
    memory = msgspec.msgpack.decode(msgspec.msgpack.encode(cut.memory))
    for _ in new.restore(memory, items):
        pass
    return new


def test_a_batch_counts_once_and_none_may_be_missing() -> None:
    one = board()
    offered = (SALES, NOW_MS // 10_000, {OFFERED.key: 1})
    one.apply([Sent(0, batch(1, offered)), Sent(1, batch(1, offered)), Sent(2, batch(2, offered))])
    [row] = one.rows.queues
    assert row.windows.sum("5m") == {OFFERED.number: {0: 2}}
    with pytest.raises(MissingDeltasError, match="calls-0: batch 4 follows 2"):
        one.apply([Sent(3, batch(4, offered))])


def test_a_state_is_shown_at_once_and_its_windows_with_what_counts_or_the_next_pane() -> None:
    ann, pane = ("agent", "default", "ann", "north"), NOW_MS // FINE_MS
    since_ms = NOW_MS - 90 * SECOND_MS
    open_since = {OPEN_STATES[AGENT_STATES.index("available")].key | since_ms: 1}

    numbers: Counter[str] = Counter()

    def shown(
        now_ms: int, *vectors: Any, source: str = "agents-0", **other: Any
    ) -> dict[tuple[str, str], View]:
        numbers[source] += 1
        told = batch(numbers[source], *vectors, source=source, **other)
        one.apply([Sent(one.offset, told)])
        update = one.tick(now_ms)
        assert update is not None
        of_agents = [view for view in update.views if view.entity.kind in {"agent", "team"}]
        return {(view.entity.kind, view.window): view for view in of_agents}

    one = board()
    one.tick(NOW_MS)  # the first shows everything
    first = shown(NOW_MS, (ann, LIVE, open_since))
    assert first.keys() == {("agent", "live"), ("team", "live")}
    assert first["agent", "live"].metrics["agents_available"] == 1
    of_break = (ann, "break", since_ms - 60 * SECOND_MS, since_ms, 1)
    assert shown(NOW_MS, times=[of_break]).keys() == first.keys()
    later = shown(NOW_MS + FINE_MS)
    assert {("agent", "today"), ("agent", "60m"), ("team", "5m"), ("team", "today")} < later.keys()
    assert later["agent", "60m"].metrics["login_seconds"] == 160.0
    counted = shown(NOW_MS + FINE_MS + 2, (ann, pane, {HANDLED.key: 1}), source="calls-0")
    assert counted.keys() == later.keys()


def test_a_wanted_tick_is_taken_at_its_very_moment() -> None:
    one = board()
    one.tick(NOW_MS)
    wanted = NOW_MS + 2 * SECOND_MS
    one.apply(
        [Sent(0, batch(1, waiting(1))), Sent(1, msgspec.msgpack.encode(Tick(wanted)), TICK_KEY)]
    )
    early = one.tick(wanted - SECOND_MS)
    assert early is not None
    assert (early.as_of_ms, early.whole) == (wanted - SECOND_MS, False)
    one.is_dirty(wanted + SECOND_MS)  # the timer of the alerts may not pass it either
    taken = one.tick(wanted + SECOND_MS)
    assert taken is not None
    assert (taken.as_of_ms, taken.whole) == (wanted, True)
    assert {view.as_of_ms for view in taken.views} == {wanted}


def test_nothing_is_shown_again_while_nothing_happens() -> None:
    one = board()
    one.apply([Sent(0, batch(1, waiting(1)))])
    assert one.tick(NOW_MS) is not None
    assert one.tick(NOW_MS + 200) is None


def test_agents_are_told_to_the_topic_in_their_turn() -> None:
    one = board()
    agent = ("agent", "default", "ann", "north")
    one.apply([Sent(0, batch(1, (agent, LIVE, {WAITING.key | NOW_MS: 1})))])
    told = []
    for second in range(2 * TURNS):
        now_ms = NOW_MS + second * SECOND_MS
        one.tick(now_ms)
        if one.is_dirty(now_ms):
            keys = [w.key or b"" for w in one.cut(now_ms).writes if w.topic == "cc.metrics.v1"]
            told += [(second, key.decode().split("/")[1]) for key in keys]
    assert (0, "team") in told
    [at] = {second for second, kind in told if kind == "agent"}
    assert at < TURNS
    assert Counter(kind for _, kind in told)["agent"] == 3  # today, an hour, live


def test_what_waits_for_its_time_is_told_before_the_shard_is_let_go_of() -> None:
    one = board()
    agent = ("agent", "default", "ann", "north")
    one.apply([Sent(0, batch(1, (agent, LIVE, {WAITING.key | NOW_MS: 1})))])
    one.tick(NOW_MS)
    writes = list(one.cut(NOW_MS).writes)
    one.hurry()
    writes += one.cut(NOW_MS + 1).writes
    keys = [w.key or b"" for w in writes if w.topic == "cc.metrics.v1"]
    assert {key.decode().split("/")[1] for key in keys} == {"agent", "floor", "team"}
    one.hurry()
    assert not one.is_dirty(NOW_MS + 2)


def test_time_alone_shows_the_rolling_windows_that_it_changes() -> None:
    one = board()
    one.apply([Sent(0, batch(1, (SALES, NOW_MS // 10_000, {OFFERED.key: 1})))])
    one.tick(NOW_MS)
    gone = one.tick(NOW_MS + 5 * 60 * SECOND_MS)
    assert gone is not None
    queue = {
        view.window: view.metrics["offered"] for view in gone.views if view.entity.kind == "queue"
    }
    assert queue == {"5m": 0, "15m": 1, "30m": 1, "60m": 1}


def test_a_wait_beyond_the_threshold_shows_with_no_event() -> None:
    one = board()
    one.apply([Sent(0, batch(1, waiting(1)))])
    one.tick(NOW_MS)
    assert one.tick(NOW_MS + 4 * SECOND_MS) is None
    late = one.tick(NOW_MS + 20 * SECOND_MS + 1)
    assert late is not None
    [live] = [v for v in late.views if v.entity.kind == "queue" and v.window == "5m"]
    assert live.metrics["service_level_live"] == 0.0


def test_an_alert_is_told_after_its_commit_and_survives_a_restart() -> None:
    one = board()
    one.apply([Sent(0, batch(1, waiting(3)))])
    for second in range(3):
        one.is_dirty(NOW_MS + second * SECOND_MS)
    shown = one.tick(NOW_MS + 2 * SECOND_MS)
    assert shown is not None
    assert shown.alerts == []
    new = restarted(one, NOW_MS + 2 * SECOND_MS)
    told = one.tick(NOW_MS + 3 * SECOND_MS)
    assert told is not None
    [alert] = told.alerts
    assert (alert.rule, alert.queue, alert.value) == ("waiting_now", "sales", 3)
    for second in range(3, 30):
        new.is_dirty(NOW_MS + second * SECOND_MS)
    again = new.tick(NOW_MS + 30 * SECOND_MS)
    assert again is not None
    assert {one.id for one in again.alerts if one.rule == "waiting_now"} == {alert.id}


def test_history_raises_no_alert() -> None:
    one = board()
    one.apply([Sent(0, batch(1, waiting(3), history=True))])
    for second in range(5):
        one.is_dirty(NOW_MS + second * SECOND_MS)
    assert not any(state.alert for state in one.watch.states.values())


def test_now_never_goes_back_over_a_restart() -> None:
    one = board()
    one.apply([Sent(0, batch(1, waiting(1)))])
    one.tick(NOW_MS + 60 * SECOND_MS)
    new = restarted(one, NOW_MS + 60 * SECOND_MS)
    shown = new.tick(NOW_MS)  # this worker's clock is a minute behind
    assert shown is not None
    assert shown.as_of_ms == NOW_MS + 60 * SECOND_MS


def test_reference_data_changes_terms_at_its_moment() -> None:
    one = board()
    change = ("default", "queue", "sales", [(NOW_MS + 5_000, 1, 0, {"service_level_seconds": 7})])
    one.apply([Sent(0, batch(1, waiting(1), reference=[change]))])
    one.tick(NOW_MS)
    [row] = one.rows.queues
    assert row.terms.service_level_seconds == 20
    one.tick(NOW_MS + 5_000)
    assert row.terms.service_level_seconds == 7


def test_boards_that_always_have_something_commit_in_turn() -> None:
    plan = msgspec.structs.replace(PLAN, commit_ms=SECOND_MS)
    boards = [Board(plan, partition, NOW_MS) for partition in range(plan.topics.deltas.partitions)]
    commits: dict[int, list[int]] = {partition: [] for partition in range(len(boards))}
    for now_ms in range(NOW_MS, NOW_MS + 5 * SECOND_MS, 10):
        for one in boards:
            one.dirty = True
            if one.is_dirty(now_ms):
                one.cut(now_ms)
                commits[one.partition].append(now_ms)
    for turns in commits.values():
        steps = {later - sooner for sooner, later in pairwise(turns[1:])}
        assert steps == {SECOND_MS}  # after the first, which waits for nothing
    moments = [moment for turns in commits.values() for moment in turns[1:]]
    assert len(moments) == len(set(moments))

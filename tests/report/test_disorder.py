"""Contacts and agents whose source tells things late, twice, or at one moment."""

from typing import Any

import pytest

from cc_stream import events as ev
from tests.report.feed import Feed, moment


def counted(feed: Feed, queue: str = "sales") -> tuple[Any, ...]:
    metrics = feed.metrics("queue", queue)
    left = metrics["abandoned"] + sum(metrics["other_exits"].values())
    return metrics["offered"], metrics["answered"], left, metrics["unreconciled"]


@pytest.mark.parametrize("segment_id", [None, "s1"])
def test_an_exit_told_after_the_hangup_is_the_visits_own(segment_id: str | None) -> None:
    feed = Feed().queued(0, segment_id=segment_id).ended(4.9).left(5, segment_id=segment_id)
    assert counted(feed) == (1, 0, 1, 0)


def test_an_exit_told_after_the_next_entry_is_the_first_visits() -> None:
    feed = Feed().queued(0).queued(20, queue="tech").left(20.1, reason="overflow")
    feed.answered(25).ended(60)
    assert counted(feed) == (1, 0, 1, 0)
    assert counted(feed, "tech") == (1, 1, 0, 0)


def test_an_answer_in_a_queue_that_was_left_untold_is_that_visits() -> None:
    feed = Feed().queued(0).queued(20, queue="tech").answered(25, queue="sales").ended(60)
    assert counted(feed) == (1, 1, 0, 0)
    assert counted(feed, "tech") == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("wait_ms", "visits"),
    [(None, 1), (24_000, 1), (10_000, 2)],
    ids=["says nothing", "began before", "proves another visit"],
)
def test_an_exit_told_twice_is_one(wait_ms: int | None, visits: int) -> None:
    feed = Feed().queued(0).left(5, wait_ms=5_000).left(24, wait_ms=wait_ms)
    assert counted(feed) == (visits, 0, visits, 0)


def test_a_segment_id_that_the_answer_brings_names_the_leg() -> None:
    feed = Feed().queued(0).answered(10, agent="ann", segment_id="s1")
    feed.queued(70, queue="tech").answered(90, agent="bob", segment_id="s2")
    feed.ended(100, segment_id="s1").ended(150, segment_id="s2")
    assert feed.metrics("agent", "ann")["talk_total_seconds"] == 90.0
    assert feed.metrics("agent", "bob")["talk_total_seconds"] == 60.0


def test_a_transfer_goes_to_the_queue_that_it_names_not_to_a_consultation_that_failed() -> None:
    feed = Feed().queued(0).answered(10, agent="ann")
    feed.queued(20, queue="tech").left(40, queue="tech")
    feed.add(ev.CallTransferred, 50, ev.Transferred("c", "ann", "blind", to_queue="billing"))
    feed.queued(51, queue="billing").answered(60, agent="bob").ended(90)
    received = {line.entity.id: line.metrics["transferred_in"] for line in feed.lines(by="queue")}
    assert received == {"sales": 0, "tech": 0, "billing": 1}


@pytest.mark.parametrize("first", ["a", "b", "c", "d"])
def test_states_of_one_moment_have_an_order_whatever_their_ids(first: str) -> None:
    # Available, rung and connected within one second of the source's clock: the agent talks.
    feed = Feed()
    for state in ("on_contact", "ringing", "available"):
        data = ev.AgentStateChanged("ann", state)
        feed.add(ev.AgentStateChangedEvent, 0, data, id=f"{first}-{state}")
    metrics = feed.state(100, "offline").metrics("agent", "ann")
    assert (metrics["login_seconds"], metrics["occupancy"]) == (100.0, 1.0)


def test_a_snapshot_that_tells_the_future_is_refused() -> None:
    feed = Feed().state(0, "available")
    snapshot = ev.AgentSnapshot("ann", "break", moment(90_000))
    feed.add(ev.AgentSnapshotEvent, 10, snapshot).state(100, "offline")
    metrics = feed.metrics("agent", "ann")
    assert (metrics["login_seconds"], metrics["pause_seconds"]) == (100.0, 0.0)
    assert metrics["agents_by_state"] == {"offline": 1}

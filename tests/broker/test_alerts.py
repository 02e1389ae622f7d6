"""Alerts on the real line: raised by time alone, told once, and the same one after a crash."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from tests.broker.floor import Floor, answered, configured, open_floor, queued
from tests.waiting import wait_for

QUEUE, OTHER = "rush", "another"
WAITING = 3
WAIT_SECONDS = 2
LEVELS = {
    "waiting_now": WAITING,
    "longest_wait_seconds": WAIT_SECONDS,
    "service_level_live": None,
}
RULES = {"waiting_now", "longest_wait"}
EVALUATIONS_MS = 2_500
"""The timer evaluates the rules twice in between."""


@pytest.fixture
def floor(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> Iterator[Floor]:
    with open_floor(
        unique_name, tmp_path, kafka.bootstrap, redis_server.url,
        calls_partitions=2, agents_partitions=1, board_partitions=2,
    ) as opened:  # fmt: skip
        yield opened


def told(floor: Floor) -> list[dict[str, str]]:
    """What lies on the alerts topic, of one partition after the other."""
    return [orjson.loads(record.value) for record in floor.read(floor.topics.alerts)]


def told_of(floor: Floor, queue: str) -> list[dict[str, str]]:
    return [one for one in told(floor) if one["queue"] == queue]


def ids(floor: Floor) -> set[str]:
    """The alerts in Redis."""
    return {alert.id for alert in floor.alerts()}


def on_metrics(floor: Floor) -> set[tuple[str, str]]:
    """Queue and rule of the active alerts on `/metrics`."""
    found = floor.scrape().named("cc_queue_alert_active")
    return {(s.labels["queue"], s.labels["rule"]) for s in found if s.value == 1}


def fill(floor: Floor, queue: str) -> list[str]:
    """As many contacts as are too many; their ids."""
    contacts = [f"{queue}-{number}" for number in range(WAITING)]
    floor.write([queued(floor, contact, queue, wall_clock_ms()) for contact in contacts])
    return contacts


def wait_for_evaluations(floor: Floor) -> None:
    """Every shard has shown a moment that lies some evaluations ahead."""
    until_ms = wall_clock_ms() + EVALUATIONS_MS
    wait_for(lambda: all(s.as_of_ms >= until_ms for s in floor.statuses().values()), 20)


def test_raised_by_time_once_and_the_same_after_a_crash(floor: Floor) -> None:
    worker = floor.worker()
    floor.wait_owned(worker)
    now_ms = wall_clock_ms()
    only_one = {**LEVELS, "longest_wait_seconds": None}
    floor.write(
        [
            *(queued(floor, f"early-{number}", "calm", now_ms) for number in range(8)),
            configured(floor, QUEUE, {"alerts": LEVELS}, now_ms),
            configured(floor, OTHER, {"alerts": only_one}, now_ms),
        ]
    )
    floor.wait_drained()
    contacts = fill(floor, QUEUE)
    ends = floor.ends(floor.topics.calls)

    # Raised with no event after the queue has filled.
    wait_for(lambda: {alert.rule for alert in floor.alerts()} == RULES, 20)
    assert floor.ends(floor.topics.calls) == ends
    assert on_metrics(floor) == {(QUEUE, rule) for rule in RULES}
    raised = ids(floor)
    assert {one["id"] for one in told(floor)} == raised
    by_rule = {alert.rule: alert for alert in floor.alerts()}
    assert by_rule["waiting_now"].value == WAITING
    longest = by_rule["longest_wait"]
    assert longest.value is not None
    assert WAIT_SECONDS <= longest.value < 8
    assert longest.raised_at_ms - longest.since_ms >= 1_000  # two evaluations

    # Killed while one more is on its way: nothing is told a second time, nothing is lost.
    contacts += fill(floor, OTHER)
    wait_for(lambda: told_of(floor, OTHER), 20)
    worker.kill()
    second = floor.worker()
    floor.wait_owned(second)
    wait_for(lambda: len(ids(floor)) == len(raised) + 1, 10)
    wait_for_evaluations(floor)
    active = ids(floor)
    assert active > raised
    assert on_metrics(floor) == {*((QUEUE, rule) for rule in RULES), (OTHER, "waiting_now")}
    assert {one["id"] for one in told(floor)} == active
    first_told = [one["id"] for one in told(floor) if one["change"] == "raised"]
    assert sorted(first_told) == sorted(active)

    # Calm does not clear at once.
    floor.write([answered(floor, c, QUEUE, f"a-{c}", wall_clock_ms()) for c in contacts])
    wait_for(lambda: floor.metrics("queue", QUEUE, "live").get("waiting_now") == 0, 20)
    wait_for_evaluations(floor)
    assert ids(floor) == active
    assert {one["id"] for one in told(floor)} == active
    assert "cleared" not in {one["change"] for one in told(floor)}

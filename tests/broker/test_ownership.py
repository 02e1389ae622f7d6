"""Who owns a shard: killed, asleep, restarted and stopped workers on a real broker."""

import os
import signal
import time
from pathlib import Path

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.view import View
from tests.broker.floor import STOP_SECONDS, Floor, Worker, open_floor, queued, simulated
from tests.waiting import wait_for

STEPS = {"join", "fence", "load", "replay"}


def contacts(floor: Floor, name: str, count: int = 100) -> None:
    now_ms = wall_clock_ms()
    floor.write(queued(floor, f"{name}-{n}", "sales", now_ms) for n in range(count))


def loads(floor: Floor, worker: Worker) -> int:
    """How many shards a worker has loaded since its start."""
    return int(floor.scrape(worker).total("cc_load_seconds_count") or 0)


def both_own(floor: Floor, first: Worker, second: Worker) -> bool:
    owned = floor.owned(first), floor.owned(second)
    return sum(owned) == floor.shards and min(owned) > 0


def offered(floor: Floor) -> object:
    return floor.metrics("queue", "sales").get("offered")


def on_floor(floor: Floor) -> int:
    """What is offered on the floor today, which is shown after the queues."""
    parts = [v for v in floor.views() if (v.entity.kind, v.window) == ("floor", "today")]
    return sum(int(str(part.metrics["offered"])) for part in parts)


def takeover(floor: Floor, worker: Worker) -> dict[str, float]:
    """The longest takeover of a calls shard that its log tells, by step."""
    told = [
        line.partition(" was taken over: ")[2]
        for line in worker.log_path.read_text().splitlines()
        if "shard calls-" in line and "was taken over" in line
    ]
    steps = [
        {step: float(seconds) for step, seconds, _ in (one.split() for one in line.split(", "))}
        for line in told
    ]
    assert floor.scrape(worker).total("cc_takeover_seconds_count"), "and measured"
    return max(steps, key=lambda one: sum(one.values()))


def test_after_a_kill_only_what_was_lost_is_loaded_and_the_time_is_told_by_steps(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(
        unique_name, tmp_path, kafka.bootstrap, redis_server.url, session_seconds=2
    ) as floor:
        first = floor.worker()
        floor.wait_owned(first)
        contacts(floor, "a")
        floor.wait_drained()
        second = floor.worker()
        wait_for(lambda: both_own(floor, first, second), 40)
        moved = floor.owned(second)
        assert loads(floor, first) == floor.shards, "what stayed was not loaded again"
        assert loads(floor, second) == moved

        os.kill(second.pid, signal.SIGKILL)
        killed = time.monotonic()
        contacts(floor, "b")
        wait_for(lambda: floor.owned(first) == floor.shards, 40)
        wait_for(lambda: offered(floor) == 200, 40)
        until_shown = time.monotonic() - killed
        assert loads(floor, first) == floor.shards + moved
        wait_for(lambda: "replay" in first.log_path.read_text(), 10)
        steps = takeover(floor, first)
        assert steps.keys() == STEPS
        rest = until_shown - sum(steps.values())
        print(f"kill to views {until_shown:.2f} s: {steps}, expiry and views {rest:.2f} s")  # noqa: T201 - measured
        assert rest > 0


def test_a_static_member_that_restarts_takes_nothing_from_others(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(
        unique_name, tmp_path, kafka.bootstrap, redis_server.url, session_seconds=30
    ) as floor:
        workers = [Worker(tmp_path / name, static(floor, name)) for name in "ab"]
        floor.workers += workers
        for worker in workers:
            worker.start()
        first, second = workers
        wait_for(lambda: both_own(floor, first, second), 60)
        contacts(floor, "a")
        floor.wait_drained()
        before, mine = loads(floor, second), floor.owned(first)
        for end in (signal.SIGTERM, signal.SIGKILL):
            os.kill(first.pid, end)
            wait_for(lambda: not first.running, STOP_SECONDS)
            assert floor.owned(second) == floor.shards - mine
            first.start()
            wait_for(lambda: floor.owned(first) == mine, 25)
        contacts(floor, "b")
        wait_for(lambda: offered(floor) == 200, 30)
        assert loads(floor, second) == before, "the other one has loaded nothing"


def static(floor: Floor, name: str) -> dict[str, str]:
    return {**floor.environment, "CC_INSTANCE_ID": name}


def test_an_owner_that_was_asleep_is_refused_by_kafka_and_its_views_by_redis(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(
        unique_name, tmp_path, kafka.bootstrap, redis_server.url, session_seconds=2
    ) as floor:
        first = floor.worker()
        floor.wait_owned(first)
        contacts(floor, "a")
        wait_for(lambda: offered(floor) == 100, 30)
        os.kill(first.pid, signal.SIGSTOP)
        contacts(floor, "b")  # its last fetch brings them, when it wakes up
        second = Worker(tmp_path / "second", floor.environment)
        floor.workers.append(second)
        second.start()
        wait_for(lambda: floor.owned(second) == floor.shards, 40)
        wait_for(lambda: offered(floor) == on_floor(floor) == 200, 30)
        written = views(floor)

        os.kill(first.pid, signal.SIGCONT)

        def is_refused() -> bool:
            for name, view in views(floor).items():
                assert view.order >= written[name].order, name
                if view.order == written[name].order:  # else its new owner has shown it again
                    assert view.metrics == written[name].metrics, name
            late = floor.scrape(first).total("cc_sink_late_writes_total")
            return bool(late) and "Fenced" in first.log_path.read_text()

        wait_for(is_refused, 30)
        assert offered(floor) == on_floor(floor) == 200


def views(floor: Floor) -> dict[object, View]:
    return {(view.entity, view.window, view.part): view for view in floor.views()}


def unread(floor: Floor) -> list[str]:
    """Shards with a record behind their committed position."""
    names, positions = floor.topics, floor.positions()
    return [
        f"{record.topic}-{record.partition}: {record.offset}"
        for topic in (names.calls, names.agents, names.reference, names.deltas)
        for record in floor.read(topic)
        if record.offset >= positions.get(f"{record.topic}-{record.partition}", 0)
    ]


def test_a_worker_that_is_told_to_stop_ends_in_time_and_leaves_nothing_to_replay(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as floor:
        loading = floor.worker()
        loading.terminate()  # it answers, and owns nothing yet
        assert loading.exit_code() == 0
        worker = floor.worker()
        floor.wait_owned(worker)
        with simulated(floor, seats=300, minutes=5) as simulator:
            wait_for(lambda: simulator.events > 500, 30)
            worker.terminate()  # under load
            assert worker.exit_code() == 0
        last = floor.worker()
        floor.wait_owned(last)
        compared = floor.compared()
        assert compared.is_proof, compared.text()
        last.terminate()
        assert last.exit_code() == 0
        assert unread(floor) == []

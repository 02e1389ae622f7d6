"""Exactly once: kill -9, a second worker, a sleeping owner, under load and disorder."""

import asyncio
import random
import signal
import time
from pathlib import Path

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.kafka import WriteProgress, write_reference, write_to_kafka
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.simulate.reference import reference
from cc_stream.simulate.reference_copied import wait_for_reference
from tests.broker.crash import CrashFloor, until

SEED = 20261122
KILLS = 10
SPAN_MS = 2 * 3_600_000
ROUGH = Faults(
    disorder=0.1, disorder_seconds=30.0, duplicates=0.05, bad=0.005, missing_ends=0.01, restated=0.2
)


class Load:
    """Two hours of a floor, written so fast that it lasts as long as the faults take."""

    def __init__(self, floor: CrashFloor) -> None:
        self.floor = floor
        self.plan = SimulationSettings(seats=300, seed=SEED, faults=ROUGH)
        self.begin_ms = time.time_ns() // 1_000_000 - SPAN_MS
        self.started = 0.0
        self.speed = 1.0
        self.written = 0

    async def reference(self) -> None:
        records = list(reference(self.plan, self.begin_ms))
        await write_reference(records, self.floor.settings.broker, self.floor.topics)
        assert await wait_for_reference(
            records, self.floor.settings.broker, self.floor.topics, deadline_seconds=60
        )

    def clock_ms(self) -> int:
        """Simulated time, which runs `speed` times as fast and stops at the present."""
        passed_ms = (time.monotonic() - self.started) * 1000 * self.speed
        return min(self.begin_ms + round(passed_ms), time.time_ns() // 1_000_000)

    def heard(self, progress: WriteProgress) -> None:
        self.written = progress.events

    async def write(self) -> int:
        self.started = time.monotonic()
        end_ms = self.begin_ms + SPAN_MS
        return await write_to_kafka(
            arrivals(self.plan, self.begin_ms, end_ms),
            self.floor.settings.broker,
            self.floor.topics,
            from_ms=self.begin_ms,
            to_ms=end_ms,
            realtime=True,
            progress=self.heard,
            now_ms=self.clock_ms,
        )


async def _harm(floor: CrashFloor, load: Load, rnd: random.Random) -> None:
    """Ten kills at seeded numbers of events, then a second worker, a sleeping owner, more kills."""
    first = floor.workers[0]
    for _ in range(KILLS - 3):
        await until(lambda: first.shards() > 0, "the worker counts again")
        target = load.written + rnd.randrange(1, 600)
        await until(lambda n=target: load.written >= n, "more events were written")  # type: ignore[misc]
        first.kill()
        first.start()
    second = floor.add_worker()
    await until(lambda: first.shards() > 0 and second.shards() > 0, "two workers share the shards")
    first.send(signal.SIGSTOP)
    await until(lambda: second.shards() == floor.all_shards, "the session of the sleeper is over")
    first.send(signal.SIGCONT)
    await until(lambda: first.shards() > 0, "the sleeper is back in the group")
    for _ in range(3):
        victim = rnd.choice(floor.workers)
        victim.kill()
        victim.start()
        await until(lambda: victim.shards() > 0, "the killed worker is back")  # noqa: B023


async def _run(floor: CrashFloor) -> None:
    await floor.open()
    floor.add_worker()
    load = Load(floor)
    await load.reference()
    load.speed = SPAN_MS / 90_000
    writing = asyncio.create_task(load.write())
    await _harm(floor, load, random.Random(SEED))
    # What is left of the load is written at once: the proof does not wait for the present.
    load.speed = 1e9
    assert await writing > 20_000
    await floor.settled()
    compared = await floor.compare()
    assert compared.is_proof, compared.text()
    assert compared.compared["leaderboards"] > 0
    for worker in floor.workers:
        assert worker.stop() == 0
    count, wrong = await floor.wrong_panes()
    assert not wrong, (len(wrong), wrong[:5])
    assert count > 1_000


def test_every_value_is_exact_after_kills_and_a_sleeping_owner(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    floor = CrashFloor(kafka.bootstrap, redis_server.url, unique_name, tmp_path)
    try:
        asyncio.run(_run(floor))
    finally:
        floor.close()

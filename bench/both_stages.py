"""Simulated contacts replayed through floor and board by one worker, Redis included.

The clock runs from the last look at which the worker had counted nothing until the status of the
boards in Redis shows the last delta applied.
"""

import asyncio
import time
from typing import Final

from msgspec import Struct
from redis.asyncio import Redis

from bench.inputs import Input, write
from bench.place import BenchError, Place, cpu_seconds, own_topics, worker
from cc_stream.cli.demo_servers import WorkerProcess
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.config import Settings
from cc_stream.installation import topics_of
from cc_stream.sinks.redis_keys import Keys

DEADLINE_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.02
START_POLL_SECONDS: Final = 0.05
QUIET_SECONDS: Final = 1.5
"""A worker hears of new records with its next fetch; so long nothing may move at the end."""


class Mark(Struct, frozen=True):
    """A moment: the clock, and the CPU that worker and broker have used until then."""

    at: float
    worker_cpu: float
    broker_cpu: float


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Write the input, start a worker, and follow it to the end.

    Raises:
        BenchError: it did not count everything in time.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        records = given.records
        await write(place.broker, topics_of(settings).calls.name, records)
        with worker(place, settings) as process:
            first = await _started(place, process)
            last, at_end = await _drained(place, settings, process, len(records))
    seconds, count = last.at - first.at, len(records)
    transactions = at_end.total("cc_transaction_seconds_count") or 0
    return {
        "events_per_second": count / seconds,
        "cpu_us_per_event": (last.worker_cpu - first.worker_cpu) / count * 1e6,
        "broker_cpu_us_per_event": (last.broker_cpu - first.broker_cpu) / count * 1e6,
        "transactions_per_second": transactions / seconds,
        "seconds": seconds,
    }


def _mark(place: Place, process: WorkerProcess) -> Mark:
    return Mark(time.perf_counter(), cpu_seconds(process.pid), cpu_seconds(place.broker_pid))


def _counted(seen: Scrape, name: str, **labels: str) -> float:
    named = seen.named(name)
    return sum(s.value for s in named if labels.items() <= s.labels.items())


async def _started(place: Place, process: WorkerProcess) -> Mark:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        mark = _mark(place, process)
        if _counted(await asyncio.to_thread(scrape, [process.url]), "cc_records_total"):
            return mark
        await asyncio.sleep(START_POLL_SECONDS)
    raise BenchError("the worker did not begin to count")


async def _drained(
    place: Place, settings: Settings, process: WorkerProcess, total: int
) -> tuple[Mark, Scrape]:
    """When the last delta was applied, and the metrics after that."""
    redis = Redis.from_url(place.redis)
    boards = range(topics_of(settings).deltas.partitions)
    keys = [Keys(settings.topic_prefix).shard(board) for board in boards]
    seen: list[tuple[int, str]] = []
    last = _mark(place, process)
    looked = 0.0
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while time.monotonic() < deadline:
            if not process.running:
                raise BenchError(process.why_ended())
            now = await _positions(redis, keys)
            if now != seen:
                seen, last = now, _mark(place, process)
            elif time.perf_counter() - max(last.at, looked) > QUIET_SECONDS:
                looked = time.perf_counter()  # seldom: the worker pays for a look
                metrics = await asyncio.to_thread(scrape, [process.url])
                if _is_done(metrics, total, sum(events for events, _ in now)):
                    return last, metrics
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await redis.aclose()
    raise BenchError(f"the worker did not count everything in {DEADLINE_SECONDS:.0f} s")


async def _positions(redis: Redis, keys: list[str]) -> list[tuple[int, str]]:
    """Of each board shard the events that it was told of and the offset that it has applied."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, ["events", "order"])
        answers = await pipe.execute()
    return [
        (int(events or 0), (order or b"--").decode().split("-")[1]) for events, order in answers
    ]


def _is_done(metrics: Scrape, total: int, shown: int) -> bool:
    read = _counted(metrics, "cc_records_total", stage="calls")
    if read < total or _counted(metrics, "cc_shard_lag_records"):
        return False
    admitted = _counted(metrics, "cc_events_total", stage="calls", verdict="admitted")
    if shown != admitted:
        raise BenchError(f"{admitted:,.0f} events were admitted, the boards show {shown:,}")
    return True

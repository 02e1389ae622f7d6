"""Simulated contacts replayed through floor and board by one worker or two, Redis included.

The workers are there and have the reference data. The events lie ready in one transaction; the
clock runs from its commit until the status of the boards in Redis shows the last delta applied.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from msgspec import Struct
from redis.asyncio import Redis

from bench.inputs import Input, Sent, held_back, write
from bench.place import BenchError, Place, cpu_seconds, own_topics, ready, seen_by, worker
from cc_stream.cli.demo_servers import WorkerProcess
from cc_stream.cli.scrape import Scrape
from cc_stream.config import Settings
from cc_stream.installation import topics_of
from cc_stream.sinks.redis_keys import Keys

DEADLINE_SECONDS: Final = 1_200.0
POLL_SECONDS: Final = 0.02
QUIET_SECONDS: Final = 1.5
"""A worker hears of new records with its next fetch; so long nothing may move at the end."""
SETTLE_SECONDS: Final = 15.0
"""After history views are caught up slowly; a worker is idle when all of them were shown."""
IDLE_SECONDS: Final = 5.0


class Replay(Struct, frozen=True):
    """Events and their number, and how many records the workers have counted before."""

    events: Iterable[Sent]
    count: int
    known: int


class Mark(Struct, frozen=True):
    """A moment: the clock, and the CPU that workers and broker have used until then."""

    at: float
    worker_cpu: float
    broker_cpu: float


async def run(workers: int, place: Place, given: Input, name: str) -> dict[str, float]:
    """Start so many workers, and let them replay the input.

    Raises:
        BenchError: they did not count everything in time.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        await write(place.broker, topics_of(settings).calls.name, given.reference)
        with ExitStack() as running:
            processes = [running.enter_context(worker(place, settings)) for _ in range(workers)]
            replay = Replay(given.events, len(given.events), len(given.reference))
            figures = await replayed(place, settings, processes, replay)
            if workers == 1:
                figures["idle_cpu_share"] = await _idle_share(processes[0])
            return figures


one_worker = partial(run, 1)
two_workers = partial(run, 2)


async def replayed(
    place: Place,
    settings: Settings,
    processes: Sequence[WorkerProcess],
    replay: Replay,
) -> dict[str, float]:
    """Replay events on workers; the figures.

    Raises:
        BenchError: they did not count everything in time.
    """
    await ready(settings, processes)
    begun = await seen_by(processes)
    async with held_back(place.broker, topics_of(settings).calls.name, replay.events) as lying:
        first = _mark(place, processes)
        await lying.commit_transaction()
    last, ended = await _drained(place, settings, processes, replay.known + replay.count)
    seconds, count = last.at - first.at, replay.count
    transactions = "cc_transaction_seconds_count"
    done = (ended.total(transactions) or 0) - (begun.total(transactions) or 0)
    return {
        "events_per_second": count / seconds,
        "cpu_us_per_event": (last.worker_cpu - first.worker_cpu) / count * 1e6,
        "broker_cpu_us_per_event": (last.broker_cpu - first.broker_cpu) / count * 1e6,
        "transactions_per_second": done / seconds,
        "seconds": seconds,
    }


async def _idle_share(process: WorkerProcess) -> float:
    """The share of a core that a worker takes which has nothing to do."""
    await asyncio.sleep(SETTLE_SECONDS)
    used, at = cpu_seconds(process.pid), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    return (cpu_seconds(process.pid) - used) / (time.perf_counter() - at)


def _mark(place: Place, processes: Sequence[WorkerProcess]) -> Mark:
    used = sum(cpu_seconds(process.pid) for process in processes)
    return Mark(time.perf_counter(), used, cpu_seconds(place.broker_pid))


def _counted(seen: Scrape, name: str, **labels: str) -> float:
    named = seen.named(name)
    return sum(s.value for s in named if labels.items() <= s.labels.items())


async def _drained(
    place: Place, settings: Settings, processes: Sequence[WorkerProcess], total: int
) -> tuple[Mark, Scrape]:
    """When the last delta was applied, and the metrics after that."""
    redis = Redis.from_url(place.redis)
    boards = range(topics_of(settings).deltas.partitions)
    keys = [Keys(settings.topic_prefix).shard(board) for board in boards]
    seen: list[tuple[int, str]] = []
    last = _mark(place, processes)
    looked = 0.0
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        while time.monotonic() < deadline:
            for process in processes:
                if not process.running:
                    raise BenchError(process.why_ended())
            now = await _positions(redis, keys)
            if now != seen:
                seen, last = now, _mark(place, processes)
            elif time.perf_counter() - max(last.at, looked) > QUIET_SECONDS:
                looked = time.perf_counter()  # seldom: the worker pays for a look
                metrics = await seen_by(processes)
                if _is_done(metrics, total, sum(events for events, _ in now)):
                    return last, metrics
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await redis.aclose()
    shown = sum(events for events, _ in seen)
    raise BenchError(
        f"after {DEADLINE_SECONDS:.0f} s the boards show {shown:,} events of {total:,}"
    )


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
    """Whether all is read, and the boards show as many events as the floor admitted."""
    read = _counted(metrics, "cc_records_total", stage="calls")
    if read < total or _counted(metrics, "cc_shard_lag_records"):
        return False
    return shown == _counted(metrics, "cc_events_total", stage="calls", verdict="admitted")

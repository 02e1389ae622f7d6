"""Event to Redis at steady rates, as a wallboard sees it; and what a worker costs meanwhile.

A process of its own sends the events (`load.py`), stamped as they leave: a floor of 10,000 seats,
contacts and agents, the same contacts faster than real. A probe's latency runs from its stamp until
a reader of Redis, told by the change notices, has read `waiting_now` of its queue with it.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from bench.inputs import AGENT_PARTITIONS, Input, Timed, copied_reference, timed, write
from bench.load import QUEUES, Order, Told, quantile
from bench.place import BenchError, Place, cpu_seconds, own_topics, ready, worker
from cc_stream.cli.demo_servers import WorkerProcess
from cc_stream.config import Settings
from cc_stream.events import DEFAULT_TENANT
from cc_stream.installation import topics_of
from cc_stream.sinks.redis_reader import RedisReader

SEATS: Final = 10_000
"""Really some 110 events a second: at 1,000 the same contacts nine times as fast, and so on."""
RATES: Final = (1_000, 5_000, 10_000)
FLUSHES_MS: Final = (250, 500)
"""Beside the default of 50, which is measured at every rate."""
FLUSH_RATES: Final = (5_000,)
PROBES_PER_SECOND: Final = 100
WARM_SECONDS: Final = 3.0
SECONDS: Final = 10.0
SPARE_SECONDS: Final = 1.0
"""Of events, for a last step that is late."""
DEADLINE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.01
KEPT_UP: Final = 0.95
"""A load below this share of its rate proves nothing."""


class Probes:
    """When a reader saw so many waiting in each queue of ours."""

    def __init__(self, prefix: str, label: str) -> None:
        """`prefix` is that of the keys, `label` tells the probes of one order from another's."""
        of = f"{prefix}:{DEFAULT_TENANT}:queue:{label}"
        self.keys = {f"{of}-{n}:live": n for n in range(QUEUES)}
        self.seen: list[list[float]] = [[] for _ in range(QUEUES)]

    async def follow(self, client: Redis, reader: RedisReader) -> None:
        """Read the queues of which a notice tells, for ever."""
        async with reader.changes(DEFAULT_TENANT) as notices:
            while True:
                changed = set(await notices.next(1.0) or ())
                told = [key for key in self.keys if key in changed or "*" in changed]
                if not told:
                    continue
                async with client.pipeline(transaction=False) as pipe:
                    for key in told:
                        pipe.hget(key, "waiting_now")
                    answers = await pipe.execute()
                now = time.perf_counter()
                for key, answer in zip(told, answers, strict=True):
                    seen = self.seen[self.keys[key]]
                    seen.extend([now] * (int(answer or 0) - len(seen)))

    def delays_ms(self, sent: Sequence[Sequence[float]]) -> list[float]:
        """Of every probe that was seen; the n-th of a queue is seen when n wait there."""
        return [
            (seen - left) * 1_000
            for of_queue, seen_there in zip(sent, self.seen, strict=True)
            for left, seen in zip(of_queue, seen_there, strict=False)
        ]


class Reading(Struct, frozen=True):
    """What was used and written until a moment."""

    at: float
    worker_cpu: float
    redis_writes: int
    metrics_bytes: int


async def run(
    rates: Sequence[int], flush_seconds: float, place: Place, _given: Input, name: str
) -> dict[str, float]:
    """Start a worker, load it at one rate after the other, and follow the probes.

    Raises:
        BenchError: the worker ended, the load did not keep up, or a probe was never seen.
    """
    settings = place.settings(name, flush_seconds=flush_seconds)
    wanted = topics_of(settings)
    async with own_topics(place, settings):
        await write(place.broker, wanted.calls.name, copied_reference(SEATS))
        agents = copied_reference(SEATS, AGENT_PARTITIONS)
        await write(place.broker, wanted.agents.name, agents)
        with worker(place, settings) as process:
            await ready(settings, [process])
            figures: dict[str, float] = {}
            at = 0
            for rate in rates:
                events, at = _events(at, rate)
                order = _order(place, settings, rate, events)
                measured = await _measured(place, settings, process, order)
                figures |= {f"{rate}.{figure}": value for figure, value in measured.items()}
            return figures


by_rate = partial(run, RATES, 0.05)
BY_FLUSH_MS: Final = {ms: partial(run, FLUSH_RATES, ms / 1_000) for ms in FLUSHES_MS}


def _events(at: int, rate: int) -> tuple[list[Timed], int]:
    """The events that follow number `at`, enough for a rate; and where the next begin."""
    seconds = WARM_SECONDS + SECONDS + SPARE_SECONDS
    upto = at + int(rate * seconds)
    return timed(int(sum(RATES) * seconds), SEATS)[at:upto], upto


def _order(place: Place, settings: Settings, rate: int, events: list[Timed]) -> Order:
    topics = topics_of(settings)
    return Order(
        broker=place.broker,
        calls=topics.calls.name,
        agents=topics.agents.name,
        events=events,
        rate=rate,
        warm_seconds=WARM_SECONDS,
        seconds=SECONDS,
        probes_per_second=PROBES_PER_SECOND,
    )


async def _measured(
    place: Place, settings: Settings, process: WorkerProcess, order: Order
) -> dict[str, float]:
    probes = Probes(settings.topic_prefix, order.label)
    client = Redis.from_url(place.redis)
    reader = RedisReader(Redis.from_url(place.redis), settings.topic_prefix)
    following = asyncio.create_task(probes.follow(client, reader))
    path = place.folder / f"{settings.app_id}.load"
    path.write_bytes(msgspec.msgpack.encode(order))
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", str(path), stdout=asyncio.subprocess.PIPE
    )
    try:
        telling = asyncio.create_task(load.communicate())
        await asyncio.sleep(WARM_SECONDS + 1)
        before = await _reading(place, settings, process, client)
        out, _ = await telling
        after = await _reading(place, settings, process, client)
        told = msgspec.json.decode(out, type=Told)
        await _all_seen(probes, told, process)
    finally:
        if load.returncode is None:
            load.kill()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.close()
        await client.aclose()
        path.unlink()
    if told.sent < KEPT_UP * order.rate * told.seconds:
        sent = told.sent / told.seconds
        raise BenchError(f"the load sent {sent:,.0f} events/s, not {order.rate:,}")
    delays, seconds = probes.delays_ms(told.probes), after.at - before.at
    return {
        "p50_ms": quantile(delays, 0.5),
        "p99_ms": quantile(delays, 0.99),
        "p999_ms": quantile(delays, 0.999),
        "worker_cpu_share": (after.worker_cpu - before.worker_cpu) / seconds,
        "probes": len(delays),
        "events_per_second": told.sent / told.seconds,
        "load_late_p99_ms": told.late_p99_ms,
        "load_late_max_ms": told.late_max_ms,
        "redis_writes_per_second": (after.redis_writes - before.redis_writes) / seconds,
        "metrics_bytes_per_second": (after.metrics_bytes - before.metrics_bytes) / seconds,
    }


async def _reading(
    place: Place, settings: Settings, process: WorkerProcess, client: Redis
) -> Reading:
    topic = topics_of(settings).metrics.name
    logs = (place.folder / "kafka" / "data").glob(f"{topic}-*/*.log")
    return Reading(
        time.perf_counter(),
        cpu_seconds(process.pid),
        await _redis_writes(client),
        sum(log.stat().st_size for log in logs),
    )


async def _redis_writes(client: Redis) -> int:
    """Commands that wrote, also those inside of a script."""
    commands = await client.command()  # type: ignore[no-untyped-call]
    stats = await client.info("commandstats")
    writing = {name for name, of in commands.items() if "write" in of["flags"]}
    calls = {name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items()}
    return sum(int(n) for name, n in calls.items() if name in writing)


async def _all_seen(probes: Probes, told: Told, process: WorkerProcess) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    total = sum(map(len, told.probes))
    while (seen := len(probes.delays_ms(told.probes))) < total:
        if not process.running:
            raise BenchError(process.why_ended())
        if time.monotonic() > deadline:
            raise BenchError(f"{seen} of {total} probes were seen in Redis")
        await asyncio.sleep(LOOK_SECONDS)

"""Event to Redis at 1,000 events/s, as a wallboard sees it.

Contacts go in at their rate, stamped with the moment at which they are sent. Beside them ten probes
a second: a contact that joins one of a few queues of our own. A probe's latency runs from just
before it is handed to the producer until a reader of Redis, told by the change notices, has read
`waiting_now` of that queue with the probe in it.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from bench.inputs import PARTITIONS, Input, write
from bench.place import BenchError, Place, cpu_seconds, own_topics, worker
from cc_stream.cli.demo_servers import WorkerProcess
from cc_stream.cli.scrape import quantile, scrape, since
from cc_stream.config import Settings
from cc_stream.events import DEFAULT_TENANT, to_rfc3339
from cc_stream.installation import topics_of
from cc_stream.partitioner import partition_of
from cc_stream.sinks.redis_reader import RedisReader

RATE: Final = 1_000
PROBES: Final = 210
PROBES_PER_SECOND: Final = 10
QUEUES: Final = 30
"""So many that a queue never has enough waiting to raise an alert."""
WARM_SECONDS: Final = 3.0
STEP_SECONDS: Final = 0.01
DEADLINE_SECONDS: Final = 30.0
DELAY: Final = "cc_event_to_board_seconds"


class Probes:
    """What was sent into each queue, and when a reader saw it."""

    def __init__(self, prefix: str) -> None:
        self.keys = {f"{prefix}:{DEFAULT_TENANT}:queue:probe-{n}:live": n for n in range(QUEUES)}
        self.sent: list[list[float]] = [[] for _ in range(QUEUES)]
        self.shown = [0] * QUEUES
        self.delays_ms: list[float] = []

    def see(self, queue: int, waiting: int) -> None:
        """A reader has read that so many wait in a queue."""
        now, sent = time.perf_counter(), self.sent[queue]
        for number in range(self.shown[queue], min(waiting, len(sent))):
            self.delays_ms.append((now - sent[number]) * 1000)
        self.shown[queue] = max(self.shown[queue], waiting)

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
                for key, answer in zip(told, answers, strict=True):
                    self.see(self.keys[key], int(answer or 0))


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Start a worker, load it, and send probes.

    Raises:
        BenchError: the worker ended, or a probe was never seen.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        await write(place.broker, topics_of(settings).calls.name, given.reference)
        with worker(place, settings) as process:
            await _ready(process, settings)
            return await _measured(place, given, settings, process)


async def _ready(process: WorkerProcess, settings: Settings) -> None:
    wanted = topics_of(settings)
    sources = (wanted.calls, wanted.agents, wanted.reference, wanted.deltas)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        seen = await asyncio.to_thread(scrape, [process.url])
        if seen.total("cc_shards_owned") == sum(topic.partitions for topic in sources):
            return
        await asyncio.sleep(0.1)
    raise BenchError(f"the worker did not take its shards in {DEADLINE_SECONDS:.0f} s")


async def _measured(
    place: Place, given: Input, settings: Settings, process: WorkerProcess
) -> dict[str, float]:
    probes = Probes(settings.topic_prefix)
    client = Redis.from_url(place.redis)
    reader = RedisReader(Redis.from_url(place.redis), settings.topic_prefix)
    producer = AIOKafkaProducer(
        bootstrap_servers=place.broker, enable_idempotence=True, compression_type="lz4"
    )
    await producer.start()
    following = asyncio.create_task(probes.follow(client, reader))
    load = _Load(producer, topics_of(settings).calls.name, given)
    try:
        await load.run(WARM_SECONDS, None)
        before = await asyncio.to_thread(scrape, [process.url])
        started, cpu, sent = time.perf_counter(), cpu_seconds(process.pid), load.sent
        await load.run(PROBES / PROBES_PER_SECOND, probes)
        seconds = time.perf_counter() - started
        cpu, sent = cpu_seconds(process.pid) - cpu, load.sent - sent
        await _all_seen(probes, process)
        after = await asyncio.to_thread(scrape, [process.url])
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await producer.stop()
        await reader.close()
        await client.aclose()
    own = since(before.buckets(DELAY), after.buckets(DELAY))
    return {
        "p50_ms": _quantile(probes.delays_ms, 0.5),
        "p99_ms": _quantile(probes.delays_ms, 0.99),
        "max_ms": max(probes.delays_ms),
        "probes": len(probes.delays_ms),
        "events_per_second": sent / seconds,
        "worker_p50_ms": (quantile(0.5, own) or 0.0) * 1000,
        "worker_p99_ms": (quantile(0.99, own) or 0.0) * 1000,
        "worker_cpu_share": cpu / seconds,
    }


async def _all_seen(probes: Probes, process: WorkerProcess) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(probes.delays_ms) < PROBES:
        if not process.running:
            raise BenchError(process.why_ended())
        if time.monotonic() > deadline:
            raise BenchError(f"{len(probes.delays_ms)} of {PROBES} probes were seen in Redis")
        await asyncio.sleep(STEP_SECONDS)


def _quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class _Load:
    """Sends contacts at a steady rate, in the order of the input, each with the present time."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, given: Input) -> None:
        self._producer = producer
        self._topic = topic
        self._events = iter(given.events)
        self.sent = 0

    async def run(self, seconds: float, probes: Probes | None) -> None:
        """Send for so long; into the queues of `probes` ten a second, one after the other."""
        started = time.perf_counter()
        begun, probed = self.sent, 0
        under_way: list[Any] = []
        while (spent := time.perf_counter() - started) < seconds:
            while self.sent - begun < spent * RATE:
                under_way.append(await self._send(*next(self._events)))
            if probes is not None and probed < min(spent * PROBES_PER_SECOND, PROBES):
                under_way.append(await self._probe(probes, probed))
                probed += 1
            await asyncio.sleep(STEP_SECONDS)
        while probes is not None and probed < PROBES:
            under_way.append(await self._probe(probes, probed))
            probed += 1
        await asyncio.gather(*under_way)

    async def _send(self, partition: int, key: bytes, value: bytes) -> Any:
        head, _, rest = value.partition(b'"time":"')
        _, _, tail = rest.partition(b'"')
        stamp = to_rfc3339(time.time_ns() // 1_000_000).encode()
        self.sent += 1
        fresh = b"".join((head, b'"time":"', stamp, b'"', tail))
        return await self._producer.send(self._topic, fresh, key, partition)

    async def _probe(self, probes: Probes, number: int) -> Any:
        contact, queue = f"probe-contact-{number}", number % QUEUES
        event = {
            "specversion": "1.0",
            "source": "/bench/probes",
            "id": contact,
            "type": "cc.call.queued.v1",
            "time": to_rfc3339(time.time_ns() // 1_000_000),
            "data": {"contact_id": contact, "queue": f"probe-{queue}"},
        }
        key, value = contact.encode(), orjson.dumps(event)
        self.sent += 1
        probes.sent[queue].append(time.perf_counter())
        return await self._producer.send(self._topic, value, key, partition_of(key, PARTITIONS))

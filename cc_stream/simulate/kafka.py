"""Arrivals to Kafka: the past at full speed, the future at its time; reference data first."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from cc_stream.partitioner import partition_of
from cc_stream.simulate.outbox import Arrival, TopicName

BATCH_BYTES: Final = 256 << 10
OUTSTANDING_BATCHES: Final = 32
"""Batches that may be under way: at most 8 MiB of records that are not yet acknowledged."""
REPORT_SECONDS: Final = 0.2
LOOK_EVERY: Final = 200
"""Records between two looks at the clock and the stop event."""
LEAST_WAIT_SECONDS: Final = 0.005
REMEMBERED_KEYS: Final = 50_000


class TopicLike(Protocol):
    """What is read of a topic."""

    @property
    def name(self) -> str:
        """Its name on the broker."""

    @property
    def partitions(self) -> int:
        """How many it has."""


class EventTopics(Protocol):
    """The topics that a floor writes to (`cc_stream.topics.Topics` is such)."""

    @property
    def calls(self) -> TopicLike:
        """Events of contacts, and queue snapshots."""

    @property
    def agents(self) -> TopicLike:
        """Events of agents."""

    @property
    def reference(self) -> TopicLike:
        """Rosters and queue settings."""


class WriteProgress(Struct, frozen=True):
    """How far a writer is. Times are milliseconds UTC.

    `until_ms` is the end of what is written at full speed: the end of the span, or now. `live`:
    the past is written and the writer goes on in real time.
    """

    events: int
    from_ms: int
    reached_ms: int
    until_ms: int
    live: bool


Progress = Callable[[WriteProgress], None]


def wall_clock_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _unheard(_progress: WriteProgress) -> None:
    """Nobody wants to know."""


async def write_to_kafka(
    arrivals: Iterable[Arrival],
    bootstrap: str,
    topics: EventTopics,
    *,
    from_ms: int,
    to_ms: int | None = None,
    realtime: bool = False,
    progress: Progress = _unheard,
    stop: asyncio.Event | None = None,
    security: Mapping[str, Any] | None = None,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> int:
    """Write arrivals in order and return how many are acknowledged by the broker.

    An idempotent producer; keys are placed by Kafka's default partitioner. With `realtime` what
    has arrived by now is written at full speed and everything later at its own time, so that a
    floor that opened in the past (`arrivals(settings, from_ms)`) goes on without a seam. Without
    it nothing is waited for. Ends with the arrivals or soon after `stop` is set.

    Args:
        arrivals: in order of `at_ms`; read lazily, so it may be endless.
        bootstrap: `host:port`, several apart by commas.
        topics: where to.
        from_ms: start of the span, for the progress alone.
        to_ms: end of the span, for the progress alone; None is now.
        realtime: whether to wait for what has not arrived yet.
        progress: called about five times a second.
        stop: set it to end early.
        security: aiokafka's client options beside the address.
        now_ms: the clock that arrivals are paced by.

    Raises:
        aiokafka.errors.KafkaError: a record was not accepted, or no broker answers. Everything
            up to the last progress but the batches under way is written.
    """
    async with _producer(bootstrap, security) as producer:
        batches = _Batches(producer, topics)
        stop = stop or asyncio.Event()
        pace = _Pace(stop, progress, now_ms, from_ms=from_ms, to_ms=to_ms, realtime=realtime)
        for arrival in arrivals:
            if realtime and arrival.at_ms > pace.clock_ms and pace.is_early(arrival.at_ms):
                await batches.flush()
                await pace.wait_for(arrival.at_ms)
            if pace.due():
                await asyncio.sleep(0)  # lets the producer send while the past is written
                pace.look()
            if stop.is_set():
                break
            await batches.append(arrival)
            pace.events += 1
            pace.reached_ms = arrival.at_ms
        await batches.finish()
        pace.report()
        return pace.events


async def write_reference(
    records: Iterable[Arrival],
    bootstrap: str,
    topics: EventTopics,
    *,
    security: Mapping[str, Any] | None = None,
) -> int:
    """Write reference data (`reference.reference`) and return the number of records.

    Raises:
        aiokafka.errors.KafkaError: a record was not accepted, or no broker answers.
    """
    async with _producer(bootstrap, security) as producer:
        batches = _Batches(producer, topics)
        count = 0
        for record in records:
            await batches.append(record)
            count += 1
        await batches.finish()
        return count


@asynccontextmanager
async def _producer(
    bootstrap: str, security: Mapping[str, Any] | None
) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
        max_request_size=4 * BATCH_BYTES,
        **(security or {}),
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


class _Batches:
    """One open batch per partition, and those under way in the order in which they were sent."""

    def __init__(self, producer: AIOKafkaProducer, topics: EventTopics) -> None:
        self._producer = producer
        self._topics: dict[TopicName, TopicLike] = {
            "calls": topics.calls,
            "agents": topics.agents,
            "reference": topics.reference,
        }
        self._open: dict[tuple[TopicName, int], Any] = {}
        self._under_way: deque[asyncio.Future[Any]] = deque()
        self._partitions: dict[tuple[TopicName, bytes], int] = {}

    async def append(self, arrival: Arrival) -> None:
        """Put a record into its partition's batch; a full one is sent first."""
        place = arrival.topic, self._partition(arrival.topic, arrival.key)
        while True:
            batch = self._open.get(place)
            if batch is None:
                batch = self._open[place] = self._producer.create_batch()
            added = batch.append(timestamp=arrival.at_ms, key=arrival.key, value=arrival.value)
            if added is not None:
                return
            await self._send(place)

    async def flush(self) -> None:
        """Send what is there, full or not."""
        for place in list(self._open):
            await self._send(place)

    async def finish(self) -> None:
        """Send everything and wait until the broker has acknowledged it."""
        await self.flush()
        while self._under_way:
            await self._under_way.popleft()

    async def _send(self, place: tuple[TopicName, int]) -> None:
        batch = self._open.pop(place)
        topic = self._topics[place[0]].name
        self._under_way.append(await self._producer.send_batch(batch, topic, partition=place[1]))
        # Acknowledged ones are looked at as well: their errors must not be lost.
        while self._under_way and (
            len(self._under_way) > OUTSTANDING_BATCHES or self._under_way[0].done()
        ):
            await self._under_way.popleft()

    def _partition(self, topic: TopicName, key: bytes) -> int:
        known = self._partitions.get((topic, key))
        if known is None:
            if len(self._partitions) >= REMEMBERED_KEYS:
                self._partitions.clear()
            known = partition_of(key, self._topics[topic].partitions)
            self._partitions[topic, key] = known
        return known


class _Pace:
    """When to wait, and when to tell how far it is."""

    def __init__(
        self,
        stop: asyncio.Event,
        progress: Progress,
        now_ms: Callable[[], int],
        *,
        from_ms: int,
        to_ms: int | None,
        realtime: bool,
    ) -> None:
        self.events = 0
        self.reached_ms = from_ms
        self.clock_ms = now_ms()
        self._stop = stop
        self._progress = progress
        self._now_ms = now_ms
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._realtime = realtime
        self._live = False
        self._looked_at = 0
        self._reported = 0.0

    def is_early(self, at_ms: int) -> bool:
        """Whether something arrives later than now."""
        self.clock_ms = self._now_ms()
        return at_ms > self.clock_ms

    async def wait_for(self, at_ms: int) -> None:
        """Wait until this time has come or the writer is stopped."""
        self._live = True
        while not self._stop.is_set() and self.is_early(at_ms):
            self.look()
            seconds = max(LEAST_WAIT_SECONDS, (at_ms - self.clock_ms) / 1000)
            try:
                await asyncio.wait_for(self._stop.wait(), min(seconds, REPORT_SECONDS))
            except TimeoutError:
                continue

    def due(self) -> bool:
        """Whether it is time to look at the clock."""
        return self.events - self._looked_at >= LOOK_EVERY

    def look(self) -> None:
        """Tell how far it is if that was not done lately."""
        self._looked_at = self.events
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self.report()

    def report(self) -> None:
        """Tell how far it is."""
        until = self._now_ms() if self._realtime else self.reached_ms
        if self._to_ms is not None:
            until = min(self._to_ms, until) if self._realtime else self._to_ms
        self._progress(
            WriteProgress(self.events, self._from_ms, self.reached_ms, until, self._live)
        )

"""An installation of one test on real servers: its own topics, group, keys and workers."""

import asyncio
import json
import os
import signal
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, TypeVar
from unittest.mock import patch

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from msgspec import Struct

from cc_stream.alerts.engine import Alert
from cc_stream.cli import drain
from cc_stream.cli.demo_servers import WorkerProcess, stop_all
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.config import PREFIX, load_settings
from cc_stream.events import to_rfc3339
from cc_stream.installation import limits_of, terms_of_settings, topics_of
from cc_stream.local.ports import free_port
from cc_stream.report.compare import Comparison
from cc_stream.report.live import compare_live
from cc_stream.report.oracle import Rules
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.kafka import (
    WriteProgress,
    wall_clock_ms,
    write_reference,
    write_to_kafka,
)
from cc_stream.simulate.plan import SimulationSettings
from cc_stream.simulate.reference import reference
from cc_stream.simulate.reference_copied import wait_for_reference
from cc_stream.sinks import open_reader
from cc_stream.sinks.redis_reader import RedisReader
from cc_stream.sinks.sink import ShardStatus
from cc_stream.topics import Topic, provision
from cc_stream.view import View
from streams.stage import POSITION_KEY
from tests.waiting import wait_for

STOP_SECONDS = 10.0
"""A worker ends so long after a SIGTERM, or later than it promises."""
TENANT = "default"

Answer = TypeVar("Answer")


class Sent(Struct, frozen=True):
    """A record to be written. `partition` None: where Kafka's default partitioner puts the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Worker(WorkerProcess):
    """A worker with settings of its own, on a free metrics port."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, free_port())
        self.environment = environment

    def start(self) -> None:
        """Start it with the environment; this process keeps its own."""
        with patch.dict(os.environ, self.environment):
            super().start()

    def terminate(self) -> None:
        """Send SIGTERM and go on."""
        os.kill(self.pid, signal.SIGTERM)

    def exit_code(self) -> int:
        """The exit code, once it has ended; AssertionError when that takes too long."""
        assert self._process is not None
        try:
            return self._process.wait(STOP_SECONDS)
        except TimeoutExpired:
            message = f"the worker has not ended after {STOP_SECONDS} s"
            raise AssertionError(message) from None


class Floor:
    """Topics under a prefix of their own, and what a test does with them."""

    def __init__(self, name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder
        given = {"topic_prefix": name, "app_id": name, **settings}
        self.settings = load_settings(**given)
        self.environment = {
            PREFIX + key.upper(): value if isinstance(value, str) else json.dumps(value)
            for key, value in given.items()
        }
        self.topics = topics_of(self.settings)
        self.workers: list[Worker] = []

    # --- workers -----------------------------------------------------------------------------

    def worker(self) -> Worker:
        """One more worker, which answers; it may own nothing yet."""
        worker = Worker(self.folder / f"worker-{len(self.workers) + 1}", self.environment)
        self.workers.append(worker)
        worker.start()
        return worker

    def scrape(self, *workers: Worker) -> Scrape:
        """The metrics of these workers, or of all together."""
        return scrape([worker.url for worker in workers or self.workers])

    def owned(self, *workers: Worker) -> int:
        """How many shards count on these workers, or on all."""
        return int(self.scrape(*workers).total("cc_shards_owned") or 0)

    @property
    def shards(self) -> int:
        """How many there are."""
        names = self.topics
        sources = (names.calls, names.agents, names.reference, names.deltas)
        return sum(topic.partitions for topic in sources)

    def wait_owned(self, *workers: Worker, deadline_seconds: float = 40.0) -> None:
        """Wait until these workers, or all that run, count on every partition."""

        def is_so() -> bool:
            for worker in workers:
                assert worker.running, worker.why_ended()
            return self.owned(*workers) == self.shards

        wait_for(is_so, deadline_seconds)

    # --- records -----------------------------------------------------------------------------

    def write(self, records: Iterable[Sent]) -> list[tuple[int, int]]:
        """Write in this order; partition and offset of each."""

        async def send() -> list[tuple[int, int]]:
            async with AIOKafkaProducer(
                bootstrap_servers=self.settings.broker, enable_idempotence=True
            ) as producer:
                futures = [
                    await producer.send(
                        one.topic, one.value, one.key, one.partition, headers=list(one.headers)
                    )
                    for one in records
                ]
                return [(done.partition, done.offset) for done in await asyncio.gather(*futures)]

        return asyncio.run(send())

    def read(self, topic: Topic) -> list[ConsumerRecord]:
        """All committed records of a topic, partition by partition."""
        return asyncio.run(self._read(topic))

    async def _read(self, topic: Topic) -> list[ConsumerRecord]:
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.broker,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            records: list[ConsumerRecord] = []
            async with asyncio.timeout(30):
                while any([await consumer.position(p) < ends[p] for p in places]):
                    for fetched in (await consumer.getmany(timeout_ms=100)).values():
                        records += fetched
        finally:
            await consumer.stop()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def ends(self, topic: Topic) -> dict[int, int]:
        """The end of each partition."""

        async def ask() -> dict[int, int]:
            places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            async with AIOKafkaConsumer(bootstrap_servers=self.settings.broker) as consumer:
                found = await consumer.end_offsets(places)
            return {place.partition: end for place, end in found.items()}

        return asyncio.run(ask())

    def positions(self) -> dict[str, int]:
        """The committed position of each shard that has one, as it lies in its changelog."""
        names = self.topics
        changelogs = (
            (names.calls, names.contacts_changelog),
            (names.agents, names.agents_changelog),
            (names.reference, names.reference_changelog),
            (names.deltas, names.panes_changelog),
        )
        return {
            f"{source.name}-{record.partition}": msgspec.msgpack.decode(record.value)["next"]
            for source, changelog in changelogs
            for record in self.read(changelog)
            if record.key == POSITION_KEY
        }

    # --- views -------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """All views in Redis."""
        return asyncio.run(self._with_reader(lambda reader: reader.views(TENANT)))

    def metrics(self, kind: str, name: str, window: str = "60m") -> dict[str, Any]:
        """The figures of one entity; empty where there is no such view."""
        for view in self.views():
            if (view.entity.kind, view.entity.id, view.window) == (kind, name, window):
                return view.metrics
        return {}

    def alerts(self) -> list[Alert]:
        """The active alerts in Redis."""
        return asyncio.run(self._with_reader(lambda reader: reader.alerts(TENANT)))

    def statuses(self) -> dict[int, ShardStatus]:
        """How each board shard stands."""
        return asyncio.run(self._with_reader(lambda reader: reader.shards()))

    async def _with_reader(self, ask: Callable[[RedisReader], Awaitable[Answer]]) -> Answer:
        reader = open_reader(self.settings)
        try:
            return await ask(reader)
        finally:
            await reader.close()

    # --- the end -----------------------------------------------------------------------------

    def wait_drained(self, deadline_seconds: float = 60.0) -> None:
        """Wait until the floor stage has committed everything that was written."""

        async def read() -> Scrape:
            return await asyncio.to_thread(self.scrape)

        asyncio.run(drain.wait_for_floor(read, self.topics, deadline_seconds))

    def compared(self) -> Comparison:
        """Let the line drain, have every board show one moment, and hold it against the report."""
        self.wait_drained()
        return asyncio.run(self._with_reader(self._compare))

    async def _compare(self, reader: RedisReader) -> Comparison:
        settings, topics = self.settings, self.topics

        async def as_of() -> dict[int, int]:
            return {shard: one.as_of_ms for shard, one in (await reader.shards()).items()}

        await drain.show_one_moment(settings, topics, as_of, 30)
        rules = Rules(
            terms_of_settings(settings),
            settings.leaderboard_minimum_sample,
            settings.leaderboard_size,
        )
        return await compare_live(reader, settings.broker, topics, limits_of(settings), rules)


@contextmanager
def open_floor(
    name: str, folder: Path, bootstrap: str, redis: str, **settings: object
) -> Iterator[Floor]:
    """A floor with its topics; its workers are stopped in the end. `name` starts every name."""
    unique = f"{name[:60]}-{uuid.uuid4().hex[:8]}"
    floor = Floor(unique, folder, {"broker": bootstrap, "redis": redis, **settings})
    asyncio.run(provision(bootstrap, floor.topics))
    try:
        yield floor
    finally:
        stop_all(floor.workers)


class Simulated:
    """A simulator that writes a floor from its opening on, and then in real time."""

    def __init__(self, floor: Floor, simulation: SimulationSettings, from_ms: int) -> None:
        self.reached: WriteProgress | None = None
        self._floor = floor
        self._simulation = simulation
        self._from_ms = from_ms
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def events(self) -> int:
        """How many are written."""
        return 0 if self.reached is None else self.reached.events

    @property
    def is_live(self) -> bool:
        """Whether the past is written."""
        return self.reached is not None and self.reached.live

    def start(self) -> None:
        """Write the reference data, wait until a worker has copied it, and go on in a thread."""
        settings, topics = self._floor.settings, self._floor.topics
        records = list(reference(self._simulation, self._from_ms))

        async def first() -> bool:
            await write_reference(records, settings.broker, topics)
            return await wait_for_reference(records, settings.broker, topics)

        assert asyncio.run(first()), "the reference data were not copied"
        self._thread.start()

    def stop(self) -> None:
        """End it; everything is written then."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)
        assert not self._thread.is_alive(), "the simulator does not end"
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(
            write_to_kafka(
                arrivals(self._simulation, self._from_ms),
                self._floor.settings.broker,
                self._floor.topics,
                from_ms=self._from_ms,
                realtime=True,
                progress=self._heard,
                stop=self._stop,
            )
        )

    def _heard(self, reached: WriteProgress) -> None:
        self.reached = reached


@contextmanager
def simulated(floor: Floor, *, seats: int, minutes: int, seed: int = 1) -> Iterator[Simulated]:
    """A simulated floor that opened so long ago, with the faults of a real feed."""
    from_ms = wall_clock_ms() - minutes * 60_000
    simulator = Simulated(floor, SimulationSettings(seats=seats, seed=seed), from_ms)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


def event(kind: str, at_ms: int, data: Mapping[str, object], **attributes: object) -> bytes:
    """An event as structured JSON; `kind` is its type without `cc.`. Its id is new by default."""
    envelope = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/test",
        "type": f"cc.{kind}",
        "time": to_rfc3339(at_ms),
        "data": data,
        **attributes,
    }
    return json.dumps(envelope).encode()


def queued(floor: Floor, contact: str, queue: str, at_ms: int, **attributes: object) -> Sent:
    """A contact enters a queue."""
    data = {"contact_id": contact, "queue": queue}
    value = event("call.queued.v1", at_ms, data, **attributes)
    return Sent(floor.topics.calls.name, contact.encode(), value)


def answered(floor: Floor, contact: str, queue: str, agent: str, at_ms: int) -> Sent:
    """It is connected to an agent."""
    data = {"contact_id": contact, "queue": queue, "agent_id": agent}
    value = event("call.answered.v1", at_ms, data)
    return Sent(floor.topics.calls.name, contact.encode(), value)


def configured(floor: Floor, queue: str, fields: Mapping[str, object], at_ms: int) -> Sent:
    """Settings of a queue that have always held, as reference data."""
    data = {"entity": queue, "valid_from": to_rfc3339(0), "fields": fields}
    value = event("queue.configured.v1", at_ms, data)
    return Sent(floor.topics.reference.name, queue.encode(), value)


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    """The headers of a record; no name occurs twice in ours."""
    headers: Sequence[tuple[str, bytes]] = record.headers
    assert len({name for name, _ in headers}) == len(headers)
    return {name: value.decode() for name, value in headers}

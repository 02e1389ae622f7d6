"""The one place that knows Faust: chunks in, assignment and seek out.

One Faust message is one fetched chunk of a partition, because a message costs 75-150 µs and a
chunk costs no more. Offsets, tables, recovery and commits are not Faust's here. Hooks and their
private parts are named in `HOOKS`; a test holds them against the installed version.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, cast

import aiokafka
import faust
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers import aiokafka as faust_aiokafka
from faust.transport.utils import DefaultSchedulingStrategy
from msgspec import Struct

from cc_stream.telemetry import Telemetry
from cc_stream.topics import Topic
from streams import upkeep
from streams.owner import Owner

log: Final = logging.getLogger(__name__)

App = faust.App

HOOKS: Final = {
    "faust.App": ("_create_directories",),
    "faust.transport.consumer.Consumer": ("_read_offset", "perform_seek", "_commit", "seek_wait"),
    "faust.transport.drivers.aiokafka.Consumer": ("_new_consumer_thread",),
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread": (
        "_create_worker_consumer",
        "_ensure_consumer",
        "_seek_wait",
        "on_partitions_assigned",
    ),
}


class GroupSettings(Struct, frozen=True):
    """How the worker takes part in its consumer group."""

    app_id: str
    bootstrap: str
    session_seconds: float
    instance_id: str | None
    security: dict[str, Any]

    @property
    def heartbeat_seconds(self) -> float:
        """A quarter of the session."""
        return self.session_seconds / 4


class Chunk:
    """The records of one fetch of one partition, in the shape of a consumed record.

    `follows` is the last offset of the fetch before it, None after a seek.
    """

    __slots__ = (
        "checksum",
        "follows",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, records: list[Any], follows: int | None) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type
        self.headers: tuple[()] = ()
        self.key = self.checksum = None
        self.value = (records, follows)
        self.serialized_key_size = self.serialized_value_size = 0


class _ChunkScheduler(DefaultSchedulingStrategy):
    """Delivers each fetch as one chunk and remembers where it ended."""

    def __init__(self) -> None:
        self.ends: dict[TopicPartition, int] = {}

    def iterate(self, records: Mapping[Any, list[Any]]) -> Iterator[tuple[Any, Any]]:
        chunks = {}
        for tp, fetched in records.items():
            if fetched:
                chunks[tp] = [Chunk(fetched, self.ends.get(tp))]
                self.ends[tp] = fetched[-1].offset
        delivery: Iterator[tuple[Any, Any]] = super().iterate(chunks)
        return delivery


class _ChunkSchema(faust.Schema[Any, Any]):
    """Hands the records on as they are."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> None:  # noqa: ARG002
        return None

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002
        return message.value


class _NoOpinion(dict[Any, Any]):
    """Faust drops a batch that lies before what it has read; the shard decides that here."""

    def __getitem__(self, _tp: Any) -> None:
        return None


def _consumer_thread(group: GroupSettings) -> type[Any]:
    class Thread(faust_aiokafka.AIOKafkaConsumerThread):
        """Reads committed records only, and small fetches soon."""

        def _create_worker_consumer(self, _transport: Any) -> aiokafka.AIOKafkaConsumer:
            self._assignor = RoundRobinPartitionAssignor
            conf = self.app.conf
            return aiokafka.AIOKafkaConsumer(
                client_id=conf.broker_client_id,
                group_id=conf.id,
                group_instance_id=group.instance_id,
                bootstrap_servers=group.bootstrap,
                partition_assignment_strategy=[RoundRobinPartitionAssignor],
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_poll_records=conf.broker_max_poll_records,
                max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
                max_partition_fetch_bytes=conf.consumer_max_fetch_size,
                fetch_min_bytes=1,
                fetch_max_wait_ms=500,
                request_timeout_ms=int(conf.broker_request_timeout * 1000),
                session_timeout_ms=int(group.session_seconds * 1000),
                heartbeat_interval_ms=int(group.heartbeat_seconds * 1000),
                rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
                metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
                **group.security,
            )

        async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
            """Nothing is fetched until a shard has said where it is: it would be read twice."""
            self._ensure_consumer().pause(*map(_plain, assigned))
            await super().on_partitions_assigned(assigned, generation_id)

        async def _seek_wait(
            self, consumer: aiokafka.AIOKafkaConsumer, partitions: Mapping[Any, int]
        ) -> None:
            await super()._seek_wait(consumer, partitions)
            consumer.resume(*map(_plain, partitions))

    return Thread


def _plain(tp: Any) -> TopicPartition:
    """Faust has a class of its own for it, which aiokafka refuses to pause."""
    return TopicPartition(tp.topic, tp.partition)


def _transport(group: GroupSettings, owner: Owner) -> type[Any]:
    thread = _consumer_thread(group)

    class Consumer(faust_aiokafka.Consumer):
        """Seeks to the shards' own positions."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._read_offset = _NoOpinion()

        def _new_consumer_thread(self) -> Any:
            return thread(self, loop=self.loop, beacon=self.beacon)

        async def perform_seek(self) -> None:
            mine = self.assignment()
            positions = {s.source: s.next for s in owner.live() if s.source in mine}
            if positions:
                await self.seek_wait(positions)

        async def seek_wait(self, partitions: Mapping[Any, int]) -> None:
            for tp in partitions:
                cast("_ChunkScheduler", self.scheduler).ends.pop(tp, None)
            await super().seek_wait(partitions)

    class Transport(faust_aiokafka.Transport):
        """Makes that consumer."""

    Transport.Consumer = Consumer
    return Transport


class _App(faust.App):
    """Faust without its folders: nothing lies on a disk, and a worker starts where one is full."""

    def _create_directories(self) -> None:
        """No table, no folder."""


def create_app(
    group: GroupSettings,
    owner: Owner,
    topics: Iterable[Topic],
    tasks: Iterable[Callable[[], Awaitable[None]]],
    before_release: Callable[[], Awaitable[None]],
    telemetry: Telemetry,
) -> faust.App:
    """A Faust app whose agents feed the owner's shards from these topics.

    `tasks` run beside it for as long as
    it runs. When it stops, every shard is flushed, then `before_release` runs, then the shards are
    let go.
    """
    app = _App(
        group.app_id,
        broker=f"kafka://{group.bootstrap.split(',')[0]}",
        ConsumerScheduler=_ChunkScheduler,
        store="memory://",
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=8,  # chunks of a topic: the memory of a worker that is behind
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_max_poll_records=5_000,
        broker_max_poll_interval=1_000.0,
        broker_session_timeout=group.session_seconds,
        broker_heartbeat_interval=group.heartbeat_seconds,
        broker_request_timeout=max(30.0, group.session_seconds + 1),
        consumer_max_fetch_size=4 << 20,
        consumer_metadata_max_age_ms=10_000,  # so soon a topic that was made anew is noticed
    )
    app.boot_strategy.enable_kafka_producer = False
    app.transport = _transport(group, owner)(app.conf.broker_consumer, app, loop=None)
    for topic in topics:
        _feed(app, topic, owner)
    _connect(app, owner, before_release)
    upkeeps = (
        partial(upkeep.watch, app, owner),
        partial(upkeep.verify, app, owner),
        partial(upkeep.commit_for_monitors, app, owner),
        partial(upkeep.measure, app, owner, telemetry),
    )
    works: tuple[Callable[[], Awaitable[None]], ...] = (*upkeeps, *tasks)
    for work in works:
        app.task(_task(app, work))
    return app


def run(app: App) -> int:
    """Run until a signal or a failure; the exit code."""
    app.finalize()
    worker = faust.Worker(app, loglevel="INFO", redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _task(app: faust.App, work: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A task of its own name, for Faust tells tasks apart by it; its end ends the worker."""
    named = work.func if isinstance(work, partial) else work
    name = named.__name__

    async def task() -> None:
        await work()
        if not app.should_stop:
            await app.crash(RuntimeError(f"{name} has ended by itself"))

    task.__name__ = task.__qualname__ = name
    return task


def _feed(app: faust.App, topic: Topic, owner: Owner) -> None:
    """One Faust agent for one topic."""
    channel = app.topic(
        topic.name, partitions=topic.partitions, schema=_ChunkSchema(), acks=False, internal=False
    )

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            records, follows = event.value
            message = event.message
            # Let go of the records before a flush: they are the memory of a fetch.
            event.value = message.value = None
            await owner.feed(TopicPartition(message.topic, message.partition), records, follows)

    app.agent(channel, name=f"{topic.name}-agent")(agent)


def _connect(app: faust.App, owner: Owner, before_release: Callable[[], Awaitable[None]]) -> None:
    """Assignment and seek between Faust and the owner."""

    async def seek(tp: TopicPartition, offset: int) -> None:
        if tp in app.consumer.assignment():
            await app.consumer.seek_wait({tp: offset})

    async def give_up(error: BaseException) -> None:
        await app.crash(error)

    owner.seek, owner.give_up = seek, give_up

    async def revoked(_app: Any, /, *_args: Any, signal: Any, **_options: Any) -> None:  # noqa: ARG001
        owner.rebalancing()
        await _within(owner.flush_all(), 3.0)

    async def assigned(_app: Any, /, *args: Any, signal: Any, **_options: Any) -> None:  # noqa: ARG001
        owner.assign(args[0])

    async def closing(_app: Any, /, *_args: Any, signal: Any, **_options: Any) -> None:  # noqa: ARG001
        await _within(_close(owner, before_release), 8.0)

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)
    app.on_before_shutdown.connect(closing, weak=False)


async def _close(owner: Owner, before_release: Callable[[], Awaitable[None]]) -> None:
    owner.closing = True
    await owner.flush_all()
    await before_release()  # shows what is there for the last time, which is told, too
    await owner.flush_all()
    await owner.close()


async def _within(work: Coroutine[None, None, None], seconds: float) -> None:
    """Wait so long and no longer; the work is not cancelled: a commit is not cut in two."""
    _, late = await asyncio.wait({asyncio.ensure_future(work)}, timeout=seconds)
    if late:
        log.warning("a flush did not end in %.0f s; the next owner reads it again", seconds)

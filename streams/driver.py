"""The one place that knows Faust: chunks in, assignment and seek out.

One Faust message is all that one fetch brought of a topic, because a message costs 75-150 µs and
a chunk costs no more. Offsets, tables, recovery and commits are not Faust's here. Hooks and their
private parts are named in `HOOKS`; a test holds them against the installed version.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final, cast

import faust
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers import aiokafka as faust_aiokafka
from faust.types import TP
from mode.utils.futures import maybe_async
from msgspec import Struct

from cc_stream.telemetry import Telemetry
from cc_stream.topics import Topic
from streams import upkeep
from streams.broker import BareConsumer
from streams.fetched import Fetched
from streams.owner import Owner
from streams.pace import gather_seconds

log: Final = logging.getLogger(__name__)

App = faust.App

HOOKS: Final = {
    "faust.App": ("_create_directories",),
    "faust.transport.consumer.Consumer": (
        "_commit",
        "_drain_messages",
        "_getmany",
        "_to_message",
        "_wait_next_records",
        "perform_seek",
        "seek_wait",
    ),
    "faust.transport.drivers.aiokafka.Consumer": ("_new_consumer_thread",),
    "faust.transport.drivers.aiokafka.AIOKafkaConsumerThread": (
        "Worker",
        "_create_worker_consumer",
        "_ensure_consumer",
        "_gather_remaining_tasks",
        "_seek_wait",
        "_serve",
        "call_thread",
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
    """What one fetch brought of one topic, by partition, in the shape of a consumed record."""

    __slots__ = (
        "checksum",
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

    def __init__(self, fetched: dict[TopicPartition, Fetched]) -> None:
        (tp, records), *_ = fetched.items()
        last = records[-1]
        self.topic, self.partition, self.offset = tp.topic, tp.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type
        self.headers: tuple[()] = ()
        self.key = self.checksum = None
        self.value = fetched
        self.serialized_key_size = self.serialized_value_size = 0


class Waiting:
    """How many fetches of a partition its agent has or is to be given."""

    AT_MOST: Final = 8
    """Of a topic: the memory of a worker that is behind."""
    LOOK_SECONDS: Final = 0.05

    def __init__(self) -> None:
        self.chunks: Counter[TopicPartition] = Counter()

    def full(self) -> set[str]:
        """The topics of which no more may be fetched."""
        of_topics: Counter[str] = Counter()
        for tp, chunks in self.chunks.items():
            of_topics[tp.topic] += chunks
        return {topic for topic, chunks in of_topics.items() if chunks >= self.AT_MOST}

    def taken(self, tp: TopicPartition) -> None:
        """One waits no longer; it may be of those that were thrown away."""
        if self.chunks[tp] > 1:
            self.chunks[tp] -= 1
        else:
            self.chunks.pop(tp, None)


class _ChunkSchema(faust.Schema[Any, Any]):
    """Hands the records on as they are."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> None:  # noqa: ARG002
        return None

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002
        return message.value


class _OnLoop:
    """In the place of Faust's consumer thread: the same service as a task of the worker's loop.

    A thread had to wait for the interpreter lock at each step of a fetch, and a call into it and
    back took two turns of a busy loop.
    """

    def __init__(self, service: Any) -> None:
        self.service = service

    def start(self) -> None:
        self.task = self.service.parent_loop.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self.service._serve()  # noqa: SLF001 - a hook
        except Exception:  # noqa: BLE001 - it has been told, and the worker ends
            self.service.set_shutdown()

    def stop(self) -> None:
        """Its end has been waited for."""


def _consumer_thread(group: GroupSettings, owner: Owner) -> type[Any]:
    class Thread(faust_aiokafka.AIOKafkaConsumerThread):
        """Reads committed records only, and small fetches soon. No thread: see `_OnLoop`."""

        Worker: Any = _OnLoop

        async def call_thread(self, fun: Callable[..., Any], *args: Any, **options: Any) -> Any:
            return await maybe_async(fun(*args, **options))

        async def _gather_remaining_tasks(self) -> None:
            """The loop is not ours alone."""

        def _create_worker_consumer(self, _transport: Any) -> BareConsumer:
            self._assignor = RoundRobinPartitionAssignor
            conf = self.app.conf
            consumer = BareConsumer(
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
            consumer.spacing = lambda: gather_seconds(owner.workload.load())
            return consumer

        async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
            """Nothing is fetched until a shard has said where it is: it would be read twice."""
            self._ensure_consumer().pause(*map(_plain, assigned))
            await super().on_partitions_assigned(assigned, generation_id)

        async def _seek_wait(self, consumer: BareConsumer, partitions: Mapping[Any, int]) -> None:
            await super()._seek_wait(consumer, partitions)
            consumer.resume(*map(_plain, partitions))

    return Thread


def _plain(tp: Any) -> TopicPartition:
    """Faust has a class of its own for it, which aiokafka refuses to pause."""
    return TopicPartition(tp.topic, tp.partition)


class _Consumer(faust_aiokafka.Consumer):
    """Seeks to the shards' own positions, and hands each fetch on as a chunk."""

    thread: type[Any]
    owner: Owner
    waiting: Waiting

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ends: dict[TopicPartition, int] = {}

    def _new_consumer_thread(self) -> Any:
        return self.thread(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's own waits several turns of the loop for every message."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                started = time.monotonic()
                if not await self._deliver():
                    await asyncio.sleep(started + self.waiting.LOOK_SECONDS - time.monotonic())
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust takes a fetcher that is cancelled in a rebalance for crashed, also at the end.
            if not self.transport.app.should_stop:
                raise

    async def _deliver(self) -> int:
        """Hand on what was fetched of each partition; how many records."""
        records, _active = await self._wait_next_records(timeout=1.0)
        if not self.flow_active:  # a rebalance came in between: they are fetched again
            try:
                await self.perform_seek()
            except Exception as error:  # noqa: BLE001 - the shards seek when they are assigned
                log.info("no seek before a rebalance: %r", error)
            return 0
        fetched = cast("dict[TopicPartition, Fetched]", records or {})
        # All, before the first is handed on: what is not, is found by that (`upkeep.watch`).
        self.ends.update({tp: taken[-1].offset for tp, taken in fetched.items()})
        topics: dict[str, dict[TopicPartition, Fetched]] = {}
        for tp, taken in fetched.items():
            topics.setdefault(tp.topic, {})[_plain(tp)] = taken
        for of_topic in topics.values():
            self.waiting.chunks.update(of_topic.keys())
            chunk = Chunk(of_topic)
            await self.callback(self._to_message(TP(chunk.topic, chunk.partition), chunk))
        return sum(map(len, fetched.values()))

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        """Of topics that are behind nothing is fetched; the others do not wait for them."""
        wanted = active_partitions or set()
        full = self.waiting.full()
        room = {tp for tp in wanted if tp.topic not in full}
        if not room:
            await asyncio.sleep(self.waiting.LOOK_SECONDS)
            return {}
        if len(room) < len(wanted):
            timeout = self.waiting.LOOK_SECONDS
        return await super()._getmany(room, timeout)

    def has_dropped(self, tp: TopicPartition, following: int) -> bool:
        """Whether something from `following` on was fetched, and is nowhere any more."""
        return self.ends.get(tp, -1) >= following and not self.waiting.chunks[tp]

    async def perform_seek(self) -> None:
        mine = self.assignment()
        positions = {s.source: s.next for s in self.owner.live() if s.source in mine}
        if positions:
            await self.seek_wait(positions)

    async def seek_wait(self, partitions: Mapping[Any, int]) -> None:
        for tp in partitions:
            self.ends.pop(tp, None)
        await super().seek_wait(partitions)


def _transport(group: GroupSettings, owner: Owner, waiting: Waiting) -> type[Any]:
    parts = {"thread": _consumer_thread(group, owner), "owner": owner, "waiting": waiting}

    class Transport(faust_aiokafka.Transport):
        """Makes that consumer."""

    Transport.Consumer = type("Consumer", (_Consumer,), parts)
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
        store="memory://",
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=1_000_000,  # `Waiting` bounds it; 0 would pause after every chunk
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
    waiting = Waiting()
    transport = _transport(group, owner, waiting)
    app.transport = transport(app.conf.broker_consumer, app, loop=None)
    for topic in topics:
        _feed(app, topic, owner, waiting)
    _connect(app, owner, waiting, before_release)
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


def _feed(app: faust.App, topic: Topic, owner: Owner, waiting: Waiting) -> None:
    """One Faust agent for one topic."""
    channel = app.topic(
        topic.name, partitions=topic.partitions, schema=_ChunkSchema(), acks=False, internal=False
    )

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            fetched = event.value
            # Let go of the records before a flush: they are the memory of a fetch.
            event.value = event.message.value = None
            for tp in list(fetched):
                try:
                    await owner.feed(tp, fetched.pop(tp))
                finally:
                    waiting.taken(tp)

    app.agent(channel, name=f"{topic.name}-agent")(agent)


def _connect(
    app: faust.App,
    owner: Owner,
    waiting: Waiting,
    before_release: Callable[[], Awaitable[None]],
) -> None:
    """Assignment and seek between Faust and the owner."""

    async def seek(tp: TopicPartition, offset: int) -> None:
        if tp in app.consumer.assignment():
            await app.consumer.seek_wait({tp: offset})

    async def give_up(error: BaseException) -> None:
        await app.crash(error)

    owner.seek, owner.give_up = seek, give_up

    async def revoked(_app: Any, /, *_args: Any, signal: Any, **_options: Any) -> None:  # noqa: ARG001
        waiting.chunks.clear()  # Faust has thrown them away
        owner.rebalancing()
        await _within(owner.flush_all(), 3.0)

    async def assigned(_app: Any, /, *args: Any, signal: Any, **_options: Any) -> None:  # noqa: ARG001
        waiting.chunks.clear()  # also what was handed on since: it is of the group before
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

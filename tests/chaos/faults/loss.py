"""Records that are gone before they were counted: the shard stops, says so, and never counts on.

Each runs in a small installation of its own on the same servers, which is thrown away afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from signal import SIGCONT, SIGSTOP
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from cc_stream.cli import drain
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.topics import provision
from tests.chaos.faults.fault import Fault, World
from tests.chaos.faults.feed import queued
from tests.chaos.floor import DEADLINE_SECONDS, Floor
from tests.chaos.load import send
from tests.chaos.worker_process import Worker
from tests.waiting import until

COUNTED: Final = 40
"""Records that are counted before the loss."""
LATER: Final = 20
"""Records that are written after it; fewer, so that a topic made anew ends before the position."""
DELETED: Final = 10
ASLEEP_SECONDS: Final = 1.0
"""A fetch waits at the broker for half a second: one that is answered later has what is lost."""
SHARD: Final = "calls-0"
STOPPED: Final = "cc_shards_stopped"

Harm = Callable[[Floor, AIOKafkaAdminClient], Awaitable[None]]


async def _retention(side: Floor, admin: AIOKafkaAdminClient) -> None:
    """The broker deletes records that nobody has read."""
    await _write(side, "later", LATER)
    begin = COUNTED + DELETED + side.topics.agents.partitions
    place = TopicPartition(side.topics.calls.name, 0)
    await admin.delete_records({place: RecordsToDelete(begin)})


async def _anew(side: Floor, admin: AIOKafkaAdminClient) -> None:
    """The topic is deleted and made anew, with other records."""
    name = side.topics.calls.name
    await admin.delete_topics([name])
    async with asyncio.timeout(DEADLINE_SECONDS):
        while name in await admin.list_topics():  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(0.05)
    await provision(side.settings.broker, side.topics)
    await _write(side, "anew", LATER)


async def _write(side: Floor, name: str, count: int) -> None:
    now_ms = wall_clock_ms()
    await send(
        side.settings.broker,
        [queued(side, f"{name}-{number}", "/chaos/side", now_ms) for number in range(count)],
    )


def _loss(harm: Harm, *, running: bool) -> Callable[[World, Random], Awaitable[None]]:
    """With `running` a worker has the shard and is asleep meanwhile; else it comes afterwards."""

    async def inflict(world: World, random: Random) -> None:
        async with _side(world, random) as (side, worker, admin):
            if running:
                worker.send(SIGSTOP)
                await asyncio.sleep(ASLEEP_SECONDS)
            else:
                await asyncio.to_thread(worker.stop)
            before = await _counted(side)
            try:
                await harm(side, admin)
            finally:
                if running:
                    worker.send(SIGCONT)
                else:
                    worker.start()
            await _stops(side, worker)
            await asyncio.to_thread(worker.stop)
            worker.start()  # a restart changes nothing
            await _stops(side, worker)
            await asyncio.to_thread(worker.stop)
            assert await _counted(side) == before, "it has counted on"

    return inflict


async def _stops(side: Floor, worker: Worker) -> None:
    """The shard says so, by its metric and in the log, and the others go on."""

    def has_stopped() -> bool:
        seen = worker.scrape()
        return (seen.total(STOPPED) or 0) == 1 and worker.shards() == side.shards - 1

    await until(has_stopped, "one shard stops, and the others go on", DEADLINE_SECONDS)
    (told,) = [sample.labels["shard"] for sample in worker.scrape().named(STOPPED)]
    assert told == SHARD, f"{told} has stopped"
    assert f"{SHARD} stops" in worker.log.read_text(), f"{worker.log.name} does not say so"


async def _counted(side: Floor) -> list[tuple[str, int, int, bytes | None, bytes | None]]:
    """Every record that the floor shard has ever written: state, position, deltas, letters."""
    names = side.topics
    return [
        (topic.name, record.partition, record.offset, record.key, record.value)
        for topic in (names.contacts_changelog, names.deltas, names.contacts, names.dead_letters)
        for record in await side.records(topic)
    ]


@asynccontextmanager
async def _side(
    world: World, random: Random
) -> AsyncIterator[tuple[Floor, Worker, AIOKafkaAdminClient]]:
    """A small installation that has counted its records, and its worker."""
    kafka, redis = world.servers.kafka, world.servers.redis
    name = f"side-{random.getrandbits(32):08x}"
    side = Floor(
        name, world.floor.folder, kafka.bootstrap, redis.url,
        calls_partitions=1, agents_partitions=1, board_partitions=1,
    )  # fmt: skip
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await side.open()
        worker = side.add_worker()
        await side.settled()
        await _write(side, "counted", COUNTED)
        await drain.wait_for_floor(side.scrape, side.topics, DEADLINE_SECONDS)
        yield side, worker, admin
    finally:
        side.close()
        await admin.delete_topics([topic.name for topic in side.topics])
        await admin.close()


FAULTS: Final = (
    Fault(
        "retention",
        "the broker deletes unread records while no worker runs",
        _loss(_retention, running=False),
    ),
    Fault(
        "retention_running",
        "the broker deletes unread records while the worker is asleep",
        _loss(_retention, running=True),
    ),
    Fault("topic_anew", "a topic is made anew while no worker runs", _loss(_anew, running=False)),
    Fault(
        "topic_anew_running",
        "a topic is made anew while its worker is asleep",
        _loss(_anew, running=True),
    ),
)

"""A shard that is taken over has the state of the one before: 50,000 changelog records."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from cc_stream import contact_log
from cc_stream.contact_log import Contact
from cc_stream.local.kafka import KafkaServer
from cc_stream.panes import WINDOWS
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import SimulationSettings
from cc_stream.simulate.reference import reference
from cc_stream.topics import provision
from streams.board import Board
from streams.broker import Broker, read_partition
from streams.floor import Agents, Calls
from streams.load import Position
from streams.shard import Shard
from streams.stage import POSITION_KEY
from tests.streams.kafka import Kept
from tests.streams.topology import World

END_MS = 1_795_500_004_321
BEGIN_MS = END_MS - 4 * 3_600_000
A_TRANSACTION = 250
NO_VALUE = b"\xc1"
"""A byte that msgpack never uses."""


class Heard:
    """An observer that keeps how far each load was, and what it had loaded."""

    def __init__(self) -> None:
        self.remaining: dict[str, list[int]] = {}
        self.records: dict[str, int] = {}

    def chunk(self, shard: str, records: int) -> None: ...
    def flushed(self, shard: str, seconds: float, records: int) -> None: ...
    def transaction(self, shard: str, seconds: float) -> None: ...
    def taken_over(self, shard: str, steps: Mapping[str, float]) -> None: ...

    def loading(self, shard: str, remaining: int) -> None:
        self.remaining.setdefault(shard, []).append(remaining)

    def loaded(self, shard: str, _seconds: float, records: int) -> None:
        self.records[shard] = records


def floor_of_a_morning(prefix: str) -> World:
    """Flushed often: keys are written again and again."""
    world = World(END_MS, prefix=prefix)
    plan = SimulationSettings(seats=80, seed=3)
    for arrival in reference(plan, BEGIN_MS):
        world.append(world.topics.reference.name, 0, arrival.key, arrival.value, BEGIN_MS)
    world.settle()
    world.produce(arrivals(plan, BEGIN_MS, END_MS))
    while sum(shard.deliver(15) for shard in world.shards):
        for shard in world.shards:
            shard.flush(END_MS)
    return world


def state_of(stage: Any) -> Any:
    """All that a stage knows, in a form that can be compared."""
    match stage:
        case Calls():
            contacts = {
                log: contact_log.pack(contact) if type(contact) is Contact else contact
                for log, contact in stage.ledger.contacts.items()
            }
            return contacts, stage.ledger.reported, _admitted(stage)
        case Agents():
            timelines = {
                log: (agent.entries, agent.kept_from_ms)
                for log, agent in stage.ledger.agents.items()
            }
            return timelines, stage.stored, _admitted(stage)
        case Board():
            of_agents = stage.rows.agent_windows
            rows = {
                entity: (
                    {
                        name: row.windows.sum(name)
                        for name in (of_agents if entity.kind == "agent" else WINDOWS)
                    },
                    dict(row.windows.panes("fine")),
                    dict(row.windows.panes("coarse")),
                    row.windows.live,
                    row.terms,
                )
                for entity, row in stage.rows.all.items()
            }
            return rows, stage.numbers, stage.sources, stage.watch.states
        case _:
            return stage.name


def _admitted(stage: Calls | Agents) -> Any:
    return stage.numbers, stage.ledger.stream_ms, sorted(stage.ledger.reference.dump())


def transactions(log: list[Kept]) -> Iterator[list[tuple[bytes | None, bytes | None]]]:
    """A changelog of the topology in memory as a shard writes it; its source has no record yet."""
    for start in range(0, len(log), A_TRANSACTION):
        writes = []
        for kept in log[start : start + A_TRANSACTION]:
            value = kept.value
            if kept.key == POSITION_KEY and value is not None:
                memory = msgspec.msgpack.decode(value)[1]
                value = msgspec.msgpack.encode(Position(0, END_MS, memory))
            writes.append((kept.key, value))
        yield writes


async def write(broker: Broker, tp: TopicPartition, log: list[Kept]) -> None:
    """Beside each tenth transaction one that is aborted, with the same keys and no state."""
    name = f"{broker.app_id}.{tp.topic}-{tp.partition}"
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, transactional_id=name, max_batch_size=1 << 20
    )
    await producer.start()
    try:
        for number, writes in enumerate(transactions(log)):
            for is_kept in (True, False) if number % 10 == 0 else (True,):
                await producer.begin_transaction()
                batch = producer.create_batch()
                for key, value in writes:
                    given = value if is_kept else NO_VALUE
                    assert batch.append(key=key, value=given, timestamp=None, headers=[])
                await (await producer.send_batch(batch, tp.topic, partition=tp.partition))
                ended = producer.commit_transaction if is_kept else producer.abort_transaction
                await ended()
    finally:
        await producer.stop()


async def taken_over(broker: Broker, world: World, heard: Heard) -> list[Shard]:
    """Write every changelog and acquire every shard."""
    shards = []
    for old in world.shards:
        log = world.log(old.changelog, old.partition)
        await write(broker, TopicPartition(old.changelog, old.partition), log)
        stage = world.stage(old.source, old.partition)
        tp = TopicPartition(old.source, old.partition)
        shards.append(Shard(broker, tp, old.changelog, stage, heard))
    for shard in shards:
        await shard.acquire()
        await shard.release()
    return shards


async def types_of_records(broker: Broker, tp: TopicPartition) -> set[type]:
    """What a load is given."""
    return {type(r) async for records in read_partition(broker, tp) for r in records}


def test_what_is_loaded_is_what_was_known(kafka: KafkaServer, unique_name: str) -> None:
    world, heard = floor_of_a_morning(unique_name), Heard()
    broker = Broker(kafka.bootstrap, unique_name, 10_000, {})

    async def work() -> tuple[list[Shard], set[type]]:
        await provision(kafka.bootstrap, world.topics)
        shards = await taken_over(broker, world, heard)
        changelog = TopicPartition(world.topics.contacts_changelog.name, 0)
        return shards, await types_of_records(broker, changelog)

    shards, types = asyncio.run(work())
    assert ConsumerRecord not in types  # the hook that makes a load fast is still there
    for old, new in zip(world.shards, shards, strict=True):
        assert state_of(new.stage) == state_of(old.stage), new.name
        assert heard.records[new.name] == len(world.log(old.changelog, old.partition))
        assert heard.remaining[new.name][-1] == 0
        assert sorted(heard.remaining[new.name], reverse=True) == heard.remaining[new.name]
    assert sum(heard.records.values()) > 50_000

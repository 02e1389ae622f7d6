"""A partition without a leader while its transaction is ended: what was aborted is never counted.

And what was committed is, once its shard commits in every partition.
Kafka writes no marker there (KAFKA-20734), so that what lies there hangs until the next marker of
the same producer. With one broker that happens where it stood still for longer than its session;
here a second one is dead meanwhile, which leaves nothing to chance.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.ports import LOOPBACK
from streams.broker import Broker, read_partition
from streams.producer import TaskFreeProducer
from streams.stage import Write
from streams.transaction import Transactions

OUT = TopicPartition("hanging-out", 0)
"""Lies on the second broker."""
CHANGELOG = TopicPartition("hanging-changelog", 0)
"""Lies on the first, as the coordinator of transactions does."""


class SecondBroker(KafkaServer):
    """Joins the cluster of another one, which is its controller."""

    def __init__(self, first: KafkaServer, folder: Path, downloads: Path) -> None:
        super().__init__(folder, downloads)
        self.first = first

    def settings(self) -> dict[str, str]:
        voters = self.first.settings()["controller.quorum.voters"]
        return super().settings() | {
            "node.id": "2",
            "process.roles": "broker",
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
        }


def writes(value: bytes) -> list[Write]:
    """One to each broker."""
    return [Write(tp.topic, tp.partition, b"key", value) for tp in (OUT, CHANGELOG)]


async def all_but_commit(producer: TaskFreeProducer, value: bytes) -> None:
    """A transaction that is open, with all that it has to write."""
    await producer.begin_transaction()
    for write in writes(value):
        batch = producer.create_batch()
        batch.append(key=write.key, value=write.value, timestamp=None, headers=[])
        await producer.send_batch(batch, write.topic, partition=0)
    await producer.flush()


@asynccontextmanager
async def admin_of(kafka: KafkaServer) -> AsyncIterator[AIOKafkaAdminClient]:
    """One that knows of no broker that was there before."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def until_leaderless(kafka: KafkaServer) -> None:
    """Wait until the partition on the second broker has no leader."""
    async with asyncio.timeout(60):
        while True:
            with suppress(KafkaError):  # at first the dead one may still be asked
                async with admin_of(kafka) as admin:
                    [topic] = await admin.describe_topics([OUT.topic])
                    if topic["partitions"][0]["leader"] == -1:
                        return
            await asyncio.sleep(0.1)


async def commit_where_no_leader_is(
    own: KafkaServer, second: KafkaServer, transactions: Transactions, value: bytes
) -> None:
    """The second broker dies between the last write and the commit."""
    commit = TaskFreeProducer.commit_transaction

    async def later(producer: TaskFreeProducer) -> None:
        await asyncio.to_thread(second.kill)
        await until_leaderless(own)
        await commit(producer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskFreeProducer, "commit_transaction", later)
        await transactions.commit(writes(value))
    await asyncio.to_thread(second.start)


async def make_topics(kafka: KafkaServer) -> None:
    """One on each broker."""
    on = {OUT: 2, CHANGELOG: 1}
    async with admin_of(kafka) as admin:
        await admin.create_topics(
            [NewTopic(tp.topic, -1, -1, replica_assignments={0: [on[tp]]}) for tp in on]
        )


async def committed(broker: Broker, expected: list[list[bytes]]) -> list[list[bytes]]:
    """The values that are there, in either partition; a commit is answered before its markers."""
    deadline = time.monotonic() + 10
    while True:
        found = [
            [record.value async for some in read_partition(broker, tp) for record in some]
            for tp in (OUT, CHANGELOG)
        ]
        if found == expected or time.monotonic() > deadline:
            return found


@pytest.fixture
def second_kafka(own_kafka: KafkaServer, tmp_path: Path, downloads: Path) -> Iterator[KafkaServer]:
    """A second broker; the coordinator of transactions is on the first, for that was alone."""
    asyncio.run(start_coordinator(own_kafka))
    with SecondBroker(own_kafka, tmp_path / "second", downloads) as server:
        yield server


async def start_coordinator(kafka: KafkaServer) -> None:
    """The first transactional producer of a cluster has its topic made."""
    producer = Broker(kafka.bootstrap, "first", 10_000, {}).producer("sum-0")
    await producer.start()
    await producer.stop()


def test_what_a_dead_owner_left_where_no_leader_was_is_never_committed(
    own_kafka: KafkaServer, second_kafka: KafkaServer
) -> None:
    broker = Broker(own_kafka.bootstrap, "hanging", 60_000, {})

    async def scenario() -> None:
        await make_topics(own_kafka)
        former = broker.producer("sum-0")
        await former.start()
        await all_but_commit(former, b"first")
        await former.commit_transaction()
        await all_but_commit(former, b"never committed")
        await asyncio.to_thread(second_kafka.kill)
        await until_leaderless(own_kafka)
        latter = Transactions(broker, "sum-0", CHANGELOG, [OUT.topic])
        fence = asyncio.ensure_future(latter.fence())
        await asyncio.sleep(1.0)
        assert not fence.done(), "without a leader there is nobody to write a marker"
        await asyncio.to_thread(second_kafka.start)
        await fence
        await latter.commit(writes(b"second"))
        expected = [[b"first", b"second"]] * 2
        assert await committed(broker, expected) == expected
        await former.stop()
        await latter.stop()

    asyncio.run(scenario())


def test_what_was_committed_where_no_leader_was_is_there_once_it_is_committed_everywhere(
    own_kafka: KafkaServer, second_kafka: KafkaServer
) -> None:
    broker = Broker(own_kafka.bootstrap, "hanging", 60_000, {})

    async def scenario() -> None:
        await make_topics(own_kafka)
        transactions = Transactions(broker, "sum-0", CHANGELOG, [OUT.topic])
        await transactions.fence()
        await commit_where_no_leader_is(own_kafka, second_kafka, transactions, b"first")
        [_, to_changelog] = writes(b"second")
        await transactions.commit([to_changelog])
        # A broker that writes the marker later needs no more than this.
        hangs = [[], [b"first", b"second"]]
        assert await committed(broker, hangs) == hangs
        await transactions.commit([], everywhere=True)
        settled = [[b"first"], [b"first", b"second"]]
        assert await committed(broker, settled) == settled
        await transactions.stop()

    asyncio.run(scenario())

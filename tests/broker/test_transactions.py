"""Transactions on a real broker: of several batches, in order; and the fenced one."""

import asyncio
import random

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ProducerFenced

from cc_stream.local.kafka import KafkaServer
from streams.broker import Broker, read_partition
from streams.stage import Write
from streams.transaction import Transactions

TOPICS = ("one", "other")
LARGE = 200_000


def writes(numbers: range) -> list[Write]:
    """Records that do not shrink, in turn into two partitions: 26 are three batches in each."""
    noise = random.Random(1)
    return [
        Write(f"transactions-{TOPICS[n % 2]}", 0, str(n).encode(), noise.randbytes(LARGE))
        for n in numbers
    ]


async def committed(broker: Broker) -> list[list[int]]:
    """The keys of what is there, by topic."""
    read = []
    for topic in TOPICS:
        tp = TopicPartition(f"transactions-{topic}", 0)
        read.append([int(r.key) async for some in read_partition(broker, tp) for r in some])
    return read


def test_batches_of_a_transaction_arrive_in_turn_and_a_fenced_one_writes_nothing(
    kafka: KafkaServer,
) -> None:
    async def scenario() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(f"transactions-{t}", 1, 1) for t in TOPICS])
        await admin.close()
        broker = Broker(kafka.bootstrap, "transactions", 10_000, {})
        topics = [f"transactions-{name}" for name in TOPICS]
        changelog = TopicPartition(topics[0], 0)
        former, latter = (Transactions(broker, "sum-0", changelog, topics[1:]) for _ in range(2))
        await former.fence()
        await former.commit(writes(range(26)))
        await former.commit(writes(range(26, 30)))
        both = [[*range(0, 30, 2)], [*range(1, 30, 2)]]
        assert await committed(broker) == both
        await latter.fence()
        with pytest.raises(ProducerFenced):
            await former.commit(writes(range(30, 32)))
        await latter.commit(writes(range(32, 34)))
        assert await committed(broker) == [[*both[0], 32], [*both[1], 33]]
        await former.stop()
        await latter.stop()

    asyncio.run(scenario())

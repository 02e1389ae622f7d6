"""What a consumer says of where a fetch began and what lay behind it, with markers and aborts."""

import asyncio
import random
import time

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cc_stream.local.kafka import KafkaServer
from streams.broker import BareConsumer, Broker, read_partition
from streams.fetched import Fetched

ROUNDS = 200
SPACING, STEP, FLOW = 0.4, 0.02, 100


async def write(kafka: KafkaServer, tp: TopicPartition) -> None:
    """Records by themselves, in transactions, and in transactions that were given up."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(tp.topic, 1, 1)])
    await admin.close()
    rnd = random.Random(1)
    plain = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=0)
    other = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=tp.topic)
    await plain.start()
    await other.start()
    for number in range(60):
        kind = rnd.choice(("plain", "kept", "given up"))
        if kind == "plain":
            await plain.send_and_wait(tp.topic, b"%d" % number)
            continue
        await other.begin_transaction()
        for _ in range(rnd.randint(1, 4)):
            await other.send_and_wait(tp.topic, b"%d" % number)
        await (other.commit_transaction() if kind == "kept" else other.abort_transaction())
    await plain.send_and_wait(tp.topic, b"the last")
    await plain.stop()
    await other.stop()


async def fetches(broker: Broker, tp: TopicPartition, end: int) -> list[tuple[bool, Fetched]]:
    """What a consumer is given that goes on, and now and then is moved; whether it was moved."""
    rnd = random.Random(2)
    consumer = broker.consumer()
    await consumer.start()
    consumer.assign([tp])
    consumer.seek(tp, 0)
    found: list[tuple[bool, Fetched]] = []
    moved = True
    while len(found) < ROUNDS:
        if await consumer.position(tp) >= end or rnd.random() < 0.2:
            consumer.seek(tp, rnd.randrange(end))
            moved = True
        got = await consumer.getmany(tp, timeout_ms=50, max_records=rnd.randint(1, 5))
        for records in got.values():
            found.append((moved, records))
            moved = False
    await consumer.stop()
    return found


def test_a_fetch_holds_every_record_from_where_it_began(
    kafka: KafkaServer, unique_name: str
) -> None:
    tp, broker = TopicPartition(unique_name, 0), Broker(kafka.bootstrap, unique_name, 10_000, {})

    async def work() -> tuple[list[int], list[tuple[bool, Fetched]]]:
        await write(kafka, tp)
        there = [r.offset async for records in read_partition(broker, tp) for r in records]
        return there, await fetches(broker, tp, there[-1] + 1)

    there, found = asyncio.run(work())
    assert len(there) < there[-1], "there are markers, and records that do not count"
    before = 0
    for moved, records in found:
        offsets = [record.offset for record in records]
        assert offsets == [at for at in there if records.begin <= at <= offsets[-1]]
        assert moved or records.begin == before, "it goes on where the one before has ended"
        # Behind the last record lies a marker at most, of the transaction before it.
        assert there[-1] < records.end <= there[-1] + 2
        before = offsets[-1] + 1


def test_requests_are_apart_but_none_waits_after_a_silence(
    kafka: KafkaServer, unique_name: str
) -> None:
    tp = TopicPartition(unique_name, 0)

    async def work() -> tuple[list[int], float, float]:
        await write(kafka, tp)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=0)
        await producer.start()
        consumer = BareConsumer(
            bootstrap_servers=kafka.bootstrap, enable_auto_commit=False, fetch_max_wait_ms=5_000
        )
        consumer.spacing = lambda: SPACING
        await consumer.start()
        consumer.assign([tp])
        await consumer.seek_to_end()
        await consumer.getmany(tp, timeout_ms=1_000)  # a silence
        sent = time.monotonic()
        await producer.send_and_wait(tp.topic, b"after the silence")
        await consumer.getmany(tp, timeout_ms=5_000)
        delay = time.monotonic() - sent
        began = time.monotonic()
        flow = asyncio.create_task(steady(producer, tp))
        fetched: list[int] = []
        while sum(fetched) < FLOW:
            got = await consumer.getmany(tp, timeout_ms=5_000)
            fetched += map(len, got.values())
        flowed = time.monotonic() - began
        await flow
        await consumer.stop()
        await producer.stop()
        return fetched, delay, flowed

    fetched, delay, flowed = asyncio.run(work())
    assert delay < SPACING / 2
    # A machine may take longer for the flow; one request was under way when it began.
    assert len(fetched) <= flowed / SPACING + 2, "one by one it would be a hundred"


async def steady(producer: AIOKafkaProducer, tp: TopicPartition) -> None:
    for number in range(FLOW):
        await producer.send_and_wait(tp.topic, b"%d" % number)
        await asyncio.sleep(STEP)

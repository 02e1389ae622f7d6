"""A simulated floor on a real broker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from cc_stream.contracts import decode_one
from cc_stream.events import Event, to_ms
from cc_stream.local.kafka import KafkaServer
from cc_stream.partitioner import partition_of
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
from cc_stream.topics import Topic, Topics, provision, topics

HOUR = 3_600_000
MORNING = 1_764_547_200_000 + 8 * HOUR
DEADLINE_SECONDS = 30.0
ON_TIME_MS = 2
"""Broker and writer read the same clock; this is for its rounding."""


async def records_in(server: KafkaServer, topic: Topic) -> list[ConsumerRecord]:
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=server.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(records) < sum(ends.values()):
                for fetched in (await consumer.getmany(timeout_ms=100)).values():
                    records += fetched
        return records
    finally:
        await consumer.stop()


async def made(server: KafkaServer, prefix: str) -> Topics:
    wanted = topics(prefix)
    await provision(server.bootstrap, wanted)
    return wanted


def test_a_span_of_history_is_written_whole_and_in_order(
    kafka: KafkaServer, unique_name: str
) -> None:
    async def scenario() -> None:
        where = await made(kafka, unique_name)
        sent = list(arrivals(SimulationSettings(seats=100), MORNING, MORNING + HOUR))
        heard: list[WriteProgress] = []
        count = await write_to_kafka(
            sent, kafka.bootstrap, where,
            from_ms=MORNING, to_ms=MORNING + HOUR, progress=heard.append,
        )  # fmt: skip
        assert count == len(sent)
        assert heard[-1].events == count
        assert heard[-1].until_ms == MORNING + HOUR
        for topic, name in ((where.calls, "calls"), (where.agents, "agents")):
            expected = Counter((r.key, r.value) for r in sent if r.topic == name)
            found = await records_in(kafka, topic)
            assert Counter((record.key, record.value) for record in found) == expected
            for number in range(topic.partitions):
                values = [record.value for record in found if record.partition == number]
                assert values == [
                    r.value
                    for r in sent
                    if r.topic == name and partition_of(r.key, topic.partitions) == number
                ]

    asyncio.run(scenario())


def test_an_open_floor_goes_on_in_real_time(kafka: KafkaServer, unique_name: str) -> None:
    async def scenario() -> None:
        where = await made(kafka, unique_name)
        stop = asyncio.Event()
        live: list[WriteProgress] = []

        def hear(progress: WriteProgress) -> None:
            if progress.live:
                live.append(progress)
                if live[-1].events >= live[0].events + 10:
                    stop.set()

        from_ms = wall_clock_ms() - 20 * 60_000
        async with asyncio.timeout(DEADLINE_SECONDS):
            count = await write_to_kafka(
                arrivals(SimulationSettings(seats=300), from_ms), kafka.bootstrap, where,
                from_ms=from_ms, realtime=True, progress=hear, stop=stop,
            )  # fmt: skip
        found = await records_in(kafka, where.calls) + await records_in(kafka, where.agents)
        assert len(found) == count
        for record in found:
            decoded, _ = decode_one(record.value)
            if isinstance(decoded, Event) and b"far_future" not in record.value:
                assert to_ms(decoded.time) <= record.timestamp + ON_TIME_MS

    asyncio.run(scenario())


@asynccontextmanager
async def copier(server: KafkaServer) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=server.bootstrap)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def test_reference_data_is_waited_for_until_it_is_everywhere(
    kafka: KafkaServer, unique_name: str
) -> None:
    async def scenario() -> None:
        where = await made(kafka, unique_name)
        facts = list(reference(SimulationSettings(seats=5), MORNING))
        assert await write_reference(facts, kafka.bootstrap, where) == len(facts)
        copied = await records_in(kafka, where.reference)
        assert [(record.key, record.value) for record in copied] == [
            (fact.key, fact.value) for fact in facts
        ]
        async with copier(kafka) as producer:
            for topic in (where.calls, where.agents):
                for number in range(topic.partitions):
                    assert not await wait_for_reference(
                        facts, kafka.bootstrap, where, deadline_seconds=0.3
                    )
                    for record in copied:
                        await producer.send_and_wait(topic.name, record.value, record.key, number)
        assert await wait_for_reference(facts, kafka.bootstrap, where)

    asyncio.run(scenario())

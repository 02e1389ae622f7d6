"""A worker is told to stop while its shards load a large state."""

import asyncio
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from streams.floor.intake import LOG
from streams.stage import POSITION_KEY
from tests.broker.floor import Floor, Worker, open_floor, queued
from tests.waiting import wait_for

RECORDS = 400_000
"""All in one partition, so that it is seen to load."""


async def copy(floor: Floor, original: ConsumerRecord, count: int) -> None:
    """Write the same state to its partition of a changelog under so many other keys."""
    async with AIOKafkaProducer(
        bootstrap_servers=floor.settings.broker, max_batch_size=1 << 19
    ) as producer:
        place = {"topic": original.topic, "partition": original.partition}
        batch = producer.create_batch()
        *tenant, contact = msgspec.msgpack.decode(original.key)
        for number in range(count):
            key = msgspec.msgpack.encode([*tenant, f"{contact}-{number}"])
            record = {"key": key, "value": original.value}
            if batch.append(**record, timestamp=None) is None:
                await producer.send_batch(batch, **place)
                batch = producer.create_batch()
                assert batch.append(**record, timestamp=None)
        await producer.send_batch(batch, **place)
        await producer.flush()


def one_contact(floor: Floor) -> ConsumerRecord:
    """The state of one contact, as a worker has written it."""
    changelog = floor.topics.contacts_changelog
    log = [one for one in floor.read(changelog) if one.key != POSITION_KEY and one.value]
    return next(one for one in log if msgspec.msgpack.decode(one.key)[0] == LOG)


def is_loading(floor: Floor, worker: Worker) -> bool:
    """Whether it is in the midst of the large changelog."""
    return (floor.scrape(worker).total("cc_load_remaining_records") or 0) > RECORDS / 10


def test_it_ends_in_time_with_code_0_and_the_next_one_loads_everything(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as floor:
        first = floor.worker()
        floor.wait_owned(first)
        now_ms = wall_clock_ms()
        floor.write(queued(floor, f"c{n}", "sales", now_ms) for n in range(100))
        floor.wait_drained()
        first.terminate()
        assert first.exit_code() == 0
        asyncio.run(copy(floor, one_contact(floor), RECORDS))

        loading = floor.worker()
        wait_for(lambda: is_loading(floor, loading), 30)
        loading.terminate()
        assert loading.exit_code() == 0

        last = floor.worker()
        floor.wait_owned(last)
        loaded = floor.scrape(last).total("cc_loaded_records_total")
        assert loaded is not None
        assert loaded > RECORDS

"""Waiting until a worker has copied reference data into the event topics."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from cc_stream.simulate.kafka import EventTopics, wall_clock_ms
from cc_stream.simulate.outbox import Arrival

LOOK_BACK_MS: Final = 10 * 60_000
"""Records are read from this long ago (broker time): the topics may hold days before that."""
POLL_MS: Final = 100


class _Identified(Struct):
    id: str


_ID: Final = msgspec.json.Decoder(_Identified)


def id_of(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> str | None:
    """The event id in a record, structured or binary; None if it has none."""
    for name, content in headers:
        if name == "ce_id":
            return content.decode(errors="replace")
    try:
        return _ID.decode(value or b"").id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


async def wait_for_reference(
    records: Iterable[Arrival],
    bootstrap: str,
    topics: EventTopics,
    *,
    deadline_seconds: float = 30.0,
    security: Mapping[str, Any] | None = None,
) -> bool:
    """Wait until every partition of the calls and agents topics holds all of these records.

    Call it soon after `write_reference`. Returns False when the deadline passes first. Only
    committed records count.

    Raises:
        aiokafka.errors.KafkaError: no broker answers.
    """
    ids = {event_id for record in records if (event_id := id_of(record.value))}
    missing = {
        TopicPartition(topic.name, partition): set(ids)
        for topic in (topics.calls, topics.agents)
        for partition in range(topic.partitions)
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **(security or {}),
    )
    try:
        await consumer.start()
        consumer.assign(list(missing))
        await _look_back(consumer, list(missing))
        async with asyncio.timeout(deadline_seconds):
            while any(missing.values()):
                await _read(consumer, missing)
    except TimeoutError:
        return False
    finally:
        await consumer.stop()
    return True


async def _look_back(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
    since_ms = wall_clock_ms() - LOOK_BACK_MS
    # The ends first: what is copied between the two questions lies behind them.
    ends = await consumer.end_offsets(partitions)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    for partition in partitions:
        # Nothing that young: what comes from now on is what is waited for.
        at = found.get(partition)
        consumer.seek(partition, at.offset if at else ends[partition])


async def _read(consumer: AIOKafkaConsumer, missing: dict[TopicPartition, set[str]]) -> None:
    fetched = await consumer.getmany(timeout_ms=POLL_MS)
    for partition, records in fetched.items():
        wanted = missing[partition]
        for record in records:
            if wanted:
                wanted.discard(id_of(record.value, record.headers) or "")
        if not wanted:
            consumer.pause(partition)

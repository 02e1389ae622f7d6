"""What candidates read: simulated contacts, made once, and how they get onto a topic."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import islice
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from cc_stream.partitioner import partition_of
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import NO_FAULTS, SimulationSettings
from cc_stream.simulate.reference import reference

PARTITIONS: Final = 4
"""Of the calls topic: the default of the product."""
AGENT_PARTITIONS: Final = 2
"""Of the agents topic: the default of the product."""
SEATS: Final = 1_000
OPENED_DAYS_AGO: Final = 1
OPENS_MS: Final = 9 * 3_600_000
"""In the morning, whatever the hour of the run, for a floor follows the day. It is history: hours
behind its broker time. 1,000 seats make 11 events a second."""
DAY_MS: Final = 86_400_000
BATCH_BYTES: Final = 256 << 10

Sent = tuple[int, bytes, bytes]
"""Partition, key, value."""
Timed = tuple[bool, int, bytes, bytes, bytes]
"""Of the agents topic?, partition, key, and the value before and after its time."""


class Input(Struct, frozen=True):
    """Simulated contacts without faults, in order of arrival.

    `reference` is what a copy stage would have put before them: rosters and queue settings, in
    every partition.
    """

    reference: list[Sent]
    events: list[Sent]
    contacts: int

    @property
    def records(self) -> list[Sent]:
        """Everything, reference data first."""
        return self.reference + self.events


def _floor(seats: int, days_ago: int = OPENED_DAYS_AGO) -> tuple[SimulationSettings, int]:
    """A floor without faults, and when it opened."""
    settings = SimulationSettings(seats=seats, faults=NO_FAULTS)
    today_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    return settings, today_ms - days_ago * DAY_MS + OPENS_MS


def _calls(settings: SimulationSettings, from_ms: int) -> Iterator[Sent]:
    for arrival in arrivals(settings, from_ms):
        if arrival.topic == "calls":
            yield partition_of(arrival.key, PARTITIONS), arrival.key, arrival.value


def history(count: int, seats: int, days_ago: int) -> Iterator[Sent]:
    """The first `count` events of contacts of a floor that opened so long ago; nothing is kept."""
    return islice(_calls(*_floor(seats, days_ago)), count)


def copied_reference(
    seats: int, partitions: int = PARTITIONS, days_ago: int = OPENED_DAYS_AGO
) -> list[Sent]:
    """Rosters and queue settings of such a floor, in every partition."""
    return [
        (partition, record.key, record.value)
        for record in reference(*_floor(seats, days_ago))
        for partition in range(partitions)
    ]


@cache
def simulated(count: int, seats: int = SEATS) -> Input:
    """The first `count` events of contacts of a floor that opened yesterday."""
    contacts = _calls(*_floor(seats))
    events = [next(contacts) for _ in range(count)]
    return Input(copied_reference(seats), events, len({key for _, key, _ in events}))


@cache
def timed(count: int, seats: int) -> list[Timed]:
    """The first `count` events of contacts and agents, open where their time belongs."""
    out = []
    for arrival in arrivals(*_floor(seats)):
        if arrival.topic not in {"calls", "agents"}:
            continue
        of_agents = arrival.topic == "agents"
        partition = partition_of(arrival.key, AGENT_PARTITIONS if of_agents else PARTITIONS)
        head, mark, rest = arrival.value.partition(b'"time":"')
        out.append((of_agents, partition, arrival.key, head + mark, rest[rest.index(b'"') :]))
        if len(out) == count:
            break
    return out


async def write(bootstrap: str, topic: str, records: Iterable[Sent]) -> None:
    """Write records in order and wait until the broker has them all.

    Raises:
        aiokafka.errors.KafkaError: one was not accepted.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        await _send(producer, topic, records)
    finally:
        await producer.stop()


@asynccontextmanager
async def held_back(
    bootstrap: str, topic: str, records: Iterable[Sent]
) -> AsyncIterator[AIOKafkaProducer]:
    """Write records in one transaction, for the caller to commit: they all appear at once.

    So the clock of a replay runs when a worker is there and everything lies ready.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=f"{topic}-held-back",
        transaction_timeout_ms=900_000,
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await _send(producer, topic, records)
        yield producer
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, records: Iterable[Sent]) -> None:
    under_way: list[Any] = []
    batches: dict[int, Any] = {}
    for partition, key, value in records:
        batch = batches.get(partition)
        while batch is None or batch.append(key=key, value=value, timestamp=None) is None:
            if batch is not None:
                under_way.append(await producer.send_batch(batch, topic, partition=partition))
            batch = batches[partition] = producer.create_batch()
    for partition, batch in batches.items():
        under_way.append(await producer.send_batch(batch, topic, partition=partition))
    for acknowledged in under_way:
        await acknowledged

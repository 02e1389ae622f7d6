"""What every candidate reads: simulated contacts, made once, and how they get onto a topic."""

import time
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from msgspec import Struct

from cc_stream.partitioner import partition_of
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import NO_FAULTS, SimulationSettings
from cc_stream.simulate.reference import reference

PARTITIONS: Final = 4
"""Of the calls topic: the default of the product."""
SEATS: Final = 1_000
OPENED_HOURS_AGO: Final = 12
"""History: the events lie hours behind their broker time. 1,000 seats make 11 events a second."""
BATCH_BYTES: Final = 256 << 10

Sent = tuple[int, bytes, bytes]
"""Partition, key, value."""


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


def simulated(count: int) -> Input:
    """The first `count` events of contacts of a floor that opened hours ago."""
    settings = SimulationSettings(seats=SEATS, faults=NO_FAULTS)
    from_ms = time.time_ns() // 1_000_000 - OPENED_HOURS_AGO * 3_600_000
    events: list[Sent] = []
    for arrival in arrivals(settings, from_ms):
        if arrival.topic != "calls":
            continue
        events.append((partition_of(arrival.key, PARTITIONS), arrival.key, arrival.value))
        if len(events) == count:
            break
    copied = [
        (partition, record.key, record.value)
        for record in reference(settings, from_ms)
        for partition in range(PARTITIONS)
    ]
    return Input(copied, events, len({key for _, key, _ in events}))


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
    finally:
        await producer.stop()

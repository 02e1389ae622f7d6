"""A process that sends events at a steady rate, each stamped with the moment at which it leaves.

Among them are probes: contacts that join one of many queues of our own. At the end it tells when
each probe left, and how late it was itself: a load that cannot keep up would flatter the worker.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from bench.inputs import PARTITIONS, Timed
from cc_stream.events import to_rfc3339
from cc_stream.partitioner import partition_of

STEP_SECONDS: Final = 0.01
QUEUES: Final = 240
"""So many that no queue ever has enough waiting to raise an alert."""


class Order(Struct):
    """What to send, by when. Probes begin after the warm seconds and count towards the rate."""

    broker: str
    calls: str
    agents: str
    events: list[Timed]
    rate: int
    warm_seconds: float
    seconds: float
    probes_per_second: int

    @property
    def label(self) -> str:
        """First part of the names of its probes' contacts and queues."""
        return f"probe-{self.rate}"


class Told(Struct):
    """How it went: the probes of each queue by `time.perf_counter()`, all events, the lateness."""

    probes: list[list[float]]
    sent: int
    seconds: float
    late_p99_ms: float
    late_max_ms: float


def quantile(values: Iterable[float], q: float) -> float:
    """The nearest-rank quantile of some values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Load:
    """Sends what is due, ten milliseconds after ten milliseconds."""

    def __init__(self, order: Order, producer: AIOKafkaProducer) -> None:
        self.order = order
        self.producer = producer
        self.events = iter(order.events)
        self.probes: list[list[float]] = [[] for _ in range(QUEUES)]
        self.sent = self.probed = 0
        self.under_way: list[Any] = []

    async def run(self) -> Told:
        """Send everything."""
        order, late_ms = self.order, []
        begun = time.perf_counter()
        while (spent := time.perf_counter() - begun) < order.warm_seconds + order.seconds:
            wanted = int(spent * order.rate)
            if wanted > self.sent:
                late_ms.append((spent - self.sent / order.rate) * 1_000)
                await self._send(
                    wanted, int((spent - order.warm_seconds) * order.probes_per_second)
                )
            await asyncio.sleep(STEP_SECONDS)
        await asyncio.gather(*self.under_way)
        late = quantile(late_ms, 0.99), max(late_ms)
        return Told(self.probes, self.sent, time.perf_counter() - begun, *late)

    async def _send(self, wanted: int, probes: int) -> None:
        """Send until so many have left, `probes` of them probes."""
        stamp = to_rfc3339(time.time_ns() // 1_000_000).encode()
        batches: dict[tuple[str, int], Any] = {}
        while self.probed < probes and self.sent < wanted:
            key, value = self._probe(stamp.decode())
            self._append(batches, self.order.calls, partition_of(key, PARTITIONS), key, value)
        while self.sent < wanted:
            of_agents, partition, key, head, tail = next(self.events)
            topic = self.order.agents if of_agents else self.order.calls
            self._append(batches, topic, partition, key, b"".join((head, stamp, tail)))
        for (topic, partition), batch in batches.items():
            self.under_way.append(await self.producer.send_batch(batch, topic, partition=partition))

    def _append(
        self, batches: dict[tuple[str, int], Any], topic: str, partition: int, key: bytes, v: bytes
    ) -> None:
        batch = batches.get((topic, partition))
        if batch is None:
            batch = batches[topic, partition] = self.producer.create_batch()
        if batch.append(key=key, value=v, timestamp=None) is None:
            message = "ten milliseconds of events do not fit into one batch"
            raise ValueError(message)
        self.sent += 1

    def _probe(self, stamp: str) -> tuple[bytes, bytes]:
        label, queue = self.order.label, self.probed % QUEUES
        contact = f"{label}-contact-{self.probed}"
        event = {
            "specversion": "1.0",
            "source": "/bench/probes",
            "id": contact,
            "type": "cc.call.queued.v1",
            "time": stamp,
            "data": {"contact_id": contact, "queue": f"{label}-{queue}"},
        }
        self.probed += 1
        self.probes[queue].append(time.perf_counter())
        return contact.encode(), orjson.dumps(event)


async def send(order: Order) -> Told:
    """Carry out an order."""
    producer = AIOKafkaProducer(
        bootstrap_servers=order.broker, enable_idempotence=True, max_batch_size=1 << 20
    )
    await producer.start()
    try:
        return await Load(order, producer).run()
    finally:
        await producer.stop()


if __name__ == "__main__":
    asked = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Order)
    print(json.dumps(msgspec.to_builtins(asyncio.run(send(asked)))))

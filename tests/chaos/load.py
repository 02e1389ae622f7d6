"""What a floor under test is fed: a simulated floor with every fault of a real feed."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Final

from aiokafka import AIOKafkaProducer
from msgspec import Struct
from msgspec.structs import replace

from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.kafka import WriteProgress, wall_clock_ms, write_reference, write_to_kafka
from cc_stream.simulate.outbox import Arrival
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.simulate.reference import reference
from cc_stream.simulate.reference_copied import wait_for_reference
from cc_stream.topics import Topic
from tests.chaos.floor import Floor
from tests.waiting import until

HOUR_MS: Final = 3_600_000
SPAN_MS: Final = 2 * HOUR_MS
ROUGH: Final = Faults(
    disorder=0.1, disorder_seconds=30.0, duplicates=0.05, bad=0.005, missing_ends=0.01, restated=0.2
)
REFERENCE_SECONDS: Final = 60
EVENTS_SECONDS: Final = 90
BURST_BACK_MS: Final = 8 * HOUR_MS


class Sent(Struct, frozen=True):
    """A record of a fault's own."""

    topic: Topic
    key: bytes
    value: bytes
    partition: int | None = None


async def send(bootstrap: str, records: Iterable[Sent]) -> list[str]:
    """Write records in their order; the place of each as `topic/partition/offset`."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        futures = [
            await producer.send(one.topic.name, one.value, one.key, one.partition)
            for one in records
        ]
        done = await asyncio.gather(*futures)
    return [f"{one.topic}/{one.partition}/{one.offset}" for one in done]


class Load:
    """Two hours of a floor, written so fast that they last for the expected time."""

    def __init__(self, floor: Floor, seats: int, seed: int, expected_seconds: float) -> None:
        self.floor = floor
        self.plan = SimulationSettings(seats=seats, seed=seed, faults=ROUGH)
        self.begin_ms = wall_clock_ms() - SPAN_MS
        self.speed = SPAN_MS / 1000 / expected_seconds
        self.written = self.bursts = 0
        self.burst_events = 0
        self.in_the_present = False
        self._started = 0.0
        self._writing: asyncio.Task[int] | None = None

    async def start(self) -> None:
        """Write the reference data, wait until workers have copied it, and begin."""
        broker, topics = self.floor.settings.broker, self.floor.topics
        records = list(reference(self.plan, self.begin_ms))
        await write_reference(records, broker, topics)
        copied = await wait_for_reference(
            records, broker, topics, deadline_seconds=REFERENCE_SECONDS
        )
        assert copied, "the reference data were not copied"
        self._started = time.monotonic()
        end_ms = self.begin_ms + SPAN_MS
        self._writing = asyncio.create_task(
            write_to_kafka(
                arrivals(self.plan, self.begin_ms, end_ms),
                broker,
                topics,
                from_ms=self.begin_ms,
                to_ms=end_ms,
                realtime=True,
                progress=self._heard,
                now_ms=self._clock_ms,
            )
        )

    async def finish(self) -> int:
        """Write what is left at once; how many events were written in all."""
        assert self._writing is not None
        self.speed = 1e9
        return await self._writing + self.burst_events

    async def more(self, events: int) -> None:
        """Wait until so many more events were written, or the load has come to the present."""
        target = self.written + events
        await until(
            lambda: self.written >= target or self.in_the_present or self._has_ended(),
            f"{events} more events were written",
            EVENTS_SECONDS,
        )

    async def burst(self, times: int, seconds: float) -> None:
        """Add calls of the last eight hours, so many times as fast as the load, for so long.

        They come of a source of their own. What the machine does not manage is left out.
        """
        self.bursts += 1
        rate = self.written / (time.monotonic() - self._started)
        plan = replace(self.plan, source=f"/simulator/burst-{self.bursts}")
        begin_ms = wall_clock_ms() - BURST_BACK_MS
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        every = arrivals(plan, begin_ms, begin_ms + BURST_BACK_MS)
        self.burst_events += await write_to_kafka(
            _calls_of(every, round(rate * times * seconds)),
            self.floor.settings.broker,
            self.floor.topics,
            from_ms=begin_ms,
            stop=stop,
        )

    async def send(self, records: Iterable[Sent]) -> list[str]:
        """Write records of a fault; see `send`."""
        return await send(self.floor.settings.broker, records)

    def _clock_ms(self) -> int:
        """Simulated time, which runs `speed` times as fast and stops at the present."""
        passed_ms = (time.monotonic() - self._started) * 1000 * self.speed
        return min(self.begin_ms + round(passed_ms), wall_clock_ms())

    def _heard(self, progress: WriteProgress) -> None:
        self.written = progress.events
        self.in_the_present = self._clock_ms() >= wall_clock_ms() - 1

    def _has_ended(self) -> bool:
        """Whether everything is written; raises why the writer failed."""
        assert self._writing is not None
        return self._writing.done() and self._writing.result() >= 0


def _calls_of(every: Iterator[Arrival], count: int) -> Iterator[Arrival]:
    """The first so many events of contacts."""
    for arrival in every:
        if arrival.topic == "calls":
            yield arrival
            count -= 1
            if not count:
                return

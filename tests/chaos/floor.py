"""One installation under test: topics of its own, workers that can be harmed, a supervisor."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from cc_stream.cli import drain
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.config import PREFIX, Settings, load_settings
from cc_stream.installation import topics_of
from cc_stream.sinks import open_reader
from cc_stream.sinks.sink import ShardStatus
from cc_stream.topics import Topic, provision
from cc_stream.view import View
from streams.broker import Broker, read_partition
from tests.chaos.worker_process import Worker
from tests.waiting import until

DEADLINE_SECONDS: Final = 90.0
SESSION_SECONDS: Final = 2.0
"""Short, so that a killed worker is missed soon."""
SUPERVISE_SECONDS: Final = 0.2


class Floor:
    """Topics under a name of their own, and workers on them.

    `bootstrap` is how this process reaches the broker, `worker_bootstrap` how workers do.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        bootstrap: str,
        redis: str,
        worker_bootstrap: str | None = None,
        **settings: int,
    ) -> None:
        given = {
            "broker": bootstrap,
            "redis": redis,
            "app_id": name,
            "topic_prefix": name,
            "timezone": "Europe/Berlin",
            "session_seconds": SESSION_SECONDS,
            **settings,
        }
        self.settings: Settings = load_settings(**given)
        self.topics = topics_of(self.settings)
        told = {**given, "broker": worker_bootstrap or bootstrap}
        self.environment = {f"{PREFIX}{key.upper()}": str(value) for key, value in told.items()}
        self.broker = Broker(bootstrap, name, 10_000, self.settings.kafka_security())
        self.folder = folder / name
        self.workers: list[Worker] = []
        self.ends: Counter[str] = Counter()
        names = self.topics
        self.sources = (names.calls, names.agents, names.reference, names.deltas)
        self.shards = sum(topic.partitions for topic in self.sources)
        self._supervisor: asyncio.Task[None] | None = None
        self._numbers = 0

    async def open(self) -> None:
        """Make the topics."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await provision(self.settings.broker, self.topics)

    # --- workers -----------------------------------------------------------------------------

    def add_worker(self) -> Worker:
        """Start one more worker."""
        self._numbers += 1
        worker = Worker(self._numbers, self.environment, self.folder)
        self.workers.append(worker)
        worker.start()
        return worker

    def supervise(self) -> None:
        """From now on start again what has ended, until `close`."""

        async def watch() -> None:
            while True:
                for worker in self.workers:
                    worker.start_if_ended()
                await asyncio.sleep(SUPERVISE_SECONDS)

        self._supervisor = asyncio.create_task(watch())

    async def remove(self, worker: Worker) -> None:
        """SIGTERM to a worker, which has to end in order."""
        worker.wanted = False
        await asyncio.to_thread(worker.stop)
        self.dismiss(worker)

    def dismiss(self, worker: Worker) -> None:
        """Forget a worker that has ended."""
        self.workers.remove(worker)
        self.ends += worker.ends

    async def stop(self) -> None:
        """SIGTERM to all workers; each has to end in order."""
        for worker in self.workers:
            worker.wanted = False
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self.workers))

    def how_they_ended(self) -> Counter[str]:
        """How many workers ended how, so far."""
        return sum((worker.ends for worker in self.workers), self.ends)

    def close(self) -> None:
        """End what is left."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        for worker in self.workers:
            worker.wanted = False
            if worker.is_alive():
                worker.kill()

    # --- conditions --------------------------------------------------------------------------

    def owned(self) -> int:
        """How many shards count on the workers that answer."""
        return sum(worker.shards() for worker in self.workers if worker.is_alive())

    async def settled(self) -> None:
        """Wait until the workers count on every shard between them."""
        await until(lambda: self.owned() == self.shards, "every shard is owned", DEADLINE_SECONDS)

    async def scrape(self) -> Scrape:
        """The metrics of all workers together."""
        return await asyncio.to_thread(scrape, [w.url for w in self.workers if w.is_alive()])

    async def statuses(self) -> dict[int, ShardStatus]:
        """How each board shard stands in Redis."""
        reader = open_reader(self.settings)
        try:
            return await reader.shards()
        finally:
            await reader.close()

    async def views(self) -> list[View]:
        """All views in Redis."""
        reader = open_reader(self.settings)
        try:
            return [view for name in await reader.tenants() for view in await reader.views(name)]
        finally:
            await reader.close()

    async def drained(self) -> int:
        """Wait until everything that was written is counted and shown at one moment; which."""
        await drain.wait_for_floor(self.scrape, self.topics, DEADLINE_SECONDS)

        async def as_of() -> dict[int, int]:
            return {shard: status.as_of_ms for shard, status in (await self.statuses()).items()}

        return await drain.show_one_moment(self.settings, self.topics, as_of, DEADLINE_SECONDS)

    # --- records -----------------------------------------------------------------------------

    async def records(self, topic: Topic) -> list[ConsumerRecord]:
        """All committed records of a topic, partition by partition in offset order."""
        places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        return [record for place in places for record in await self.records_of(place)]

    async def records_of(self, place: TopicPartition) -> list[ConsumerRecord]:
        """All committed records of a partition; as workers read them, and where they lay."""
        return [
            ConsumerRecord(
                place.topic, place.partition, record.offset, record.timestamp,
                record.timestamp_type, record.key, record.value, record.checksum,
                len(record.key or b""), len(record.value or b""), tuple(record.headers),
            )
            async for records in read_partition(self.broker, place)
            for record in records
        ]  # fmt: skip

    async def last_values(self, topic: Topic) -> dict[tuple[int, bytes], bytes]:
        """The last value of each key of each partition; a key that was deleted is left out."""
        last = {(r.partition, r.key): r.value for r in await self.records(topic)}
        return {place: value for place, value in last.items() if value is not None}

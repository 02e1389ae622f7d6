"""Where a candidate runs: the servers, topics of its own, a worker or another process."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # comes with Faust, without types
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct
from redis.asyncio import Redis

from bench.inputs import PARTITIONS
from cc_stream.cli.demo_servers import WorkerProcess
from cc_stream.cli.options import export
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.config import PREFIX, Settings, load_settings
from cc_stream.errors import CcStreamError
from cc_stream.installation import topics_of
from cc_stream.local.folder import DEFAULT_ROOT, downloads_folder, run_folder
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.ports import free_port
from cc_stream.local.redis import RedisServer
from cc_stream.topics import provision

CHILD_SECONDS: Final = 150
READY_SECONDS: Final = 60.0
READY_LOOK_SECONDS: Final = 0.5
"""As often as a worker measures its lag: one that was read is one that was measured anew."""


class BenchError(CcStreamError):
    """A candidate did not do its work: its figures would mean nothing."""


class StalledError(BenchError):
    """A program did not end in time; stock Faust does that now and then when it starts."""


class Place(Struct, frozen=True):
    """One Kafka and one Redis for the whole bench."""

    broker: str
    redis: str
    folder: Path
    broker_pid: int

    def settings(self, name: str, **others: object) -> Settings:
        """Defaults of the product but for `others`; topics, group and keys of this name."""
        return load_settings(
            broker=self.broker,
            redis=self.redis,
            app_id=name,
            topic_prefix=name,
            calls_partitions=PARTITIONS,
            **others,
        )


@contextmanager
def servers() -> Iterator[Place]:
    """Start both on free ports, with empty data; stop them at the end.

    Raises:
        CcStreamError: no Java, no Redis server, or another bench runs.
    """
    with run_folder(DEFAULT_ROOT / "bench") as folder:
        kafka = KafkaServer(folder / "kafka", downloads_folder())
        with RedisServer(folder / "redis") as redis, kafka:
            yield Place(kafka.bootstrap, redis.url, folder, kafka.pid)


@asynccontextmanager
async def own_topics(place: Place, settings: Settings) -> AsyncIterator[None]:
    """The topics of a candidate; taken away afterwards, so that no later one pays for them."""
    await provision(place.broker, topics_of(settings))
    async with topics_removed(place, settings.app_id):
        yield
    redis = Redis.from_url(place.redis)
    await redis.flushdb()
    await redis.aclose()


@asynccontextmanager
async def topics_removed(place: Place, name: str) -> AsyncIterator[None]:
    """Take the topics whose names begin so away at the end."""
    try:
        yield
    finally:
        admin = AIOKafkaAdminClient(bootstrap_servers=place.broker)
        await admin.start()
        try:
            topics = [topic for topic in await admin.list_topics() if topic.startswith(name)]
            await admin.delete_topics(topics)
        finally:
            await admin.close()


@contextmanager
def worker(place: Place, settings: Settings) -> Iterator[WorkerProcess]:
    """One real worker process (`python -m streams.worker`); stopped at the end.

    Raises:
        LocalServerError: it did not start.
    """
    names = ("app_id", "topic_prefix", "calls_partitions", "broker", "flush_seconds")
    given = {name: getattr(settings, name) for name in names} | {"redis": place.redis}
    export(given)
    try:
        port = free_port()
        with WorkerProcess(place.folder / f"{settings.app_id}-{port}", port) as process:
            yield process
    finally:
        for name in given:
            os.environ.pop(PREFIX + name.upper(), None)


async def seen_by(workers: Sequence[WorkerProcess]) -> Scrape:
    """What they expose now, together."""
    return await asyncio.to_thread(scrape, [process.url for process in workers])


async def ready(settings: Settings, workers: Sequence[WorkerProcess]) -> None:
    """Wait until every worker has its part of the shards, and nothing is left to read.

    Raises:
        BenchError: that took too long.
    """
    wanted = topics_of(settings)
    sources = (wanted.calls, wanted.agents, wanted.reference, wanted.deltas)
    shards = sum(topic.partitions for topic in sources)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        each = [await seen_by([process]) for process in workers]
        owned = [seen.total("cc_shards_owned") or 0 for seen in each]
        lag = sum(seen.total("cc_shard_lag_records") or 0 for seen in each)
        if sum(owned) == shards and all(owned) and not lag:
            return
        await asyncio.sleep(READY_LOOK_SECONDS)
    raise BenchError(f"the workers did not take their shards in {READY_SECONDS:.0f} s: {owned}")


def child(module: str, *args: object) -> dict[str, float]:
    """Run a candidate as a process of its own; its last line of output is its figures as JSON.

    Raises:
        BenchError: it failed, or took too long.
    """
    return figures_of([sys.executable, "-m", module, *(str(arg) for arg in args)])


def figures_of(command: list[str]) -> dict[str, float]:
    """Run a program; its last line of output is its figures as JSON.

    Raises:
        BenchError: it failed.
        StalledError: it took too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{shown(command)} failed:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise StalledError(f"{shown(command)} took longer than {CHILD_SECONDS} s") from error
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def shown(command: list[str]) -> str:
    """What of a command tells a reader which one it was."""
    return next(part for part in command if part.startswith("bench"))


def resident_bytes() -> int:
    """What this process has in memory."""
    return int(psutil.Process().memory_info().rss)


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used so far, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)

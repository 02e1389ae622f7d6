"""What an ingest keeps on Kafka: the position of a file, and the transaction that moves it."""

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from cc_stream.contracts import encode
from cc_stream.dead_letters import Headers
from cc_stream.errors import CcStreamError
from cc_stream.events import AGENT_EVENTS, Event, key_of
from cc_stream.partitioner import partition_of
from cc_stream.sources.follow import Position
from cc_stream.sources.source import AnySource, Options
from cc_stream.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STOP_SECONDS: Final = 5.0
POSITION_VERSION: Final = 1
_BATCH_BYTES: Final = 256 << 10


class IngestError(CcStreamError):
    """The file cannot be read, Kafka does not answer, or another run has taken the file over."""


class Ingested(Struct, frozen=True):
    """How far a file is, over all runs. Bytes are of the generation that is being read.

    `gaps`: how often the file that was being read had gone, so that lines may be lost.
    """

    bytes_done: int = 0
    bytes_total: int = 0
    lines: int = 0
    events: int = 0
    refused: int = 0
    gaps: int = 0
    ignored: Mapping[str, int] = {}


class Saved(Struct, frozen=True, array_like=True):
    """The position record. `state` is what the source dumps, deflated."""

    version: int
    position: Position
    state: bytes
    done: Ingested


class Feed(Struct, frozen=True):
    """A file, the source that reads it, and where its events go.

    `batch_lines`: at most so many lines are one transaction.
    """

    bootstrap: str
    topics: Topics
    source: AnySource
    options: Options
    path: Path
    security: Mapping[str, Any] = {}
    batch_lines: int = 2000

    @property
    def file_id(self) -> str:
        """The key of the position: the source and the file's absolute path, hashed."""
        path = str(self.path.absolute()).encode()
        return f"{self.source.name}.{blake2b(path, digest_size=8).hexdigest()}"

    @property
    def transactional_id(self) -> str:
        """One writer a file: a later run fences an earlier one."""
        return f"{self.topics.ingest_positions.name}.{self.file_id}"


class Records:
    """What one transaction writes, by topic and partition."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.waiting: dict[tuple[str, int], list[tuple[bytes, bytes | None, Headers]]] = {}

    async def add_event(self, topics: Topics, event: Event) -> None:
        """An event to its topic; what has no key of its own (a restart) to every partition."""
        value, key = encode(event), key_of(event)
        name = topics.agents.name if isinstance(event, AGENT_EVENTS) else topics.calls.name
        if key is not None:
            await self.add(name, key.encode(), value)
            return
        for partition in range(await self._partitions(name)):
            await self.add(name, event.source.encode(), value, partition=partition)

    async def add(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """A record, placed by its key unless a partition is given."""
        if partition is None:
            partition = partition_of(key, await self._partitions(topic))
        self.waiting.setdefault((topic, partition), []).append((key, value, headers))

    async def _partitions(self, topic: str) -> int:
        return len(await self.producer.partitions_for(topic))

    async def write(self) -> None:
        """All of it in one transaction, committed only when every send is acknowledged."""
        await self.producer.begin_transaction()
        sent: list[asyncio.Future[Any]] = []
        try:
            for (topic, partition), records in self.waiting.items():
                batch = self.producer.create_batch()
                for key, value, headers in records:
                    plain = list(headers)  # aiokafka takes a list alone
                    record = {"key": key, "value": value, "timestamp": None, "headers": plain}
                    if batch.append(**record) is None:
                        sent.append(
                            await self.producer.send_batch(batch, topic, partition=partition)
                        )
                        batch = self.producer.create_batch()
                        batch.append(**record)
                sent.append(await self.producer.send_batch(batch, topic, partition=partition))
        finally:
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        failed = next((o for o in outcomes if isinstance(o, BaseException)), None)
        if failed is not None:
            raise failed
        await self.producer.commit_transaction()


async def read_saved(feed: Feed) -> Saved | None:
    """The last committed position of the file.

    Raises:
        IngestError: another version of the program wrote it.
    """
    partition = TopicPartition(
        feed.topics.ingest_positions.name,
        partition_of(feed.file_id.encode(), feed.topics.ingest_positions.partitions),
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=feed.bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        # Not seek_to_beginning: that races with the reset to this.
        auto_offset_reset="earliest",
        **feed.security,
    )
    await consumer.start()
    value: bytes | None = None
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.key == feed.file_id.encode():
                        value = record.value
    finally:
        await consumer.stop()
    if value is None:
        return None
    try:
        saved = msgspec.msgpack.decode(value, type=Saved)
    except msgspec.ValidationError as error:
        raise IngestError(f"the saved position of {feed.path} cannot be read") from error
    if saved.version != POSITION_VERSION:
        text = f"the saved position of {feed.path} has version {saved.version}"
        raise IngestError(text)
    return saved


@asynccontextmanager
async def producer_of(feed: Feed) -> "AsyncIterator[AIOKafkaProducer]":
    """A started producer that is the only one of this file from now on."""
    producer = AIOKafkaProducer(
        bootstrap_servers=feed.bootstrap,
        transactional_id=feed.transactional_id,
        transaction_timeout_ms=10_000,
        max_batch_size=_BATCH_BYTES,
        max_request_size=8 << 20,
        linger_ms=0,
        retry_backoff_ms=20,
        **feed.security,
    )
    try:
        await producer.start()
        yield producer
    finally:
        try:
            await asyncio.wait_for(producer.stop(), STOP_SECONDS)
        except (KafkaError, TimeoutError, AssertionError):
            await producer.client.close()  # a failed transaction: the next start ends it

"""A source's file to Kafka, each line exactly once: events and position in one transaction.

1. The producer starts under an id of this file: that fences a former run and ends its transaction.
2. Only then the saved position is read, committed records only.
3. Per batch of lines: fold, begin, send events, dead letters and the new position with the state of
   the fold, **await every send** (aiokafka commits what is left of a failed batch), commit.

So a kill at any moment repeats nothing and loses nothing. Any failed transaction drops the producer
and begins again at 1.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from msgspec import Struct

from cc_stream.contracts import encode
from cc_stream.dead_letters import dead_letter
from cc_stream.errors import CcStreamError
from cc_stream.events import AGENT_EVENTS, Event, key_of
from cc_stream.partitioner import partition_of
from cc_stream.sources.follow import Piece, Position, read_piece
from cc_stream.sources.source import AnySource, Folded, Options
from cc_stream.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_SECONDS: Final = 0.2
FLUSH_BEHIND_MS: Final = 5000
"""While a file is silent, what is due is told so long after its moment: lines may lag the clock."""
TRIES: Final = 5
"""Failed transactions in a row, after which ingestion ends."""
RETRY_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0
_POSITION_VERSION: Final = 1
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


class _Saved(Struct, frozen=True, array_like=True):
    """The position record. `state` is what the source dumps, deflated."""

    version: int
    position: Position
    state: bytes
    done: Ingested


class _Record(Struct, frozen=True):
    """A refused line as a dead letter sees it: the file is the topic, its bytes the offset."""

    topic: str
    offset: int
    value: bytes
    partition: int = 0
    key: bytes | None = None


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


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _unheard(_done: Ingested) -> None:
    """Nobody wants to know."""


async def ingest(
    feed: Feed,
    *,
    follow: bool = False,
    stop: asyncio.Event | None = None,
    progress: Callable[[Ingested], None] = _unheard,
    now_ms: Callable[[], int] = _wall_clock_ms,
) -> Ingested:
    """Put what of a file is not yet on Kafka there, and with `follow` what is written from now on.

    Goes on from the saved position. Without `follow` it ends at the end of the file, whose last
    line may lack its newline; with it, when `stop` is set. The topics have to be there.

    Args:
        feed: the file, the source that reads it, and where to.
        follow: whether to wait for more lines, over rotations too.
        stop: set it to end after the transaction under way.
        progress: called after every transaction.
        now_ms: the clock by which what is due in a silent file is told.

    Returns:
        The totals over all runs of this file.

    Raises:
        IngestError: the file cannot be read, Kafka failed several times in a row, or another run
            of the same file has begun. What was committed is committed.
    """
    if not follow and not feed.path.exists():
        raise IngestError(f"{feed.path}: no such file")
    run = _Run(feed, stop or asyncio.Event(), progress, now_ms, follow=follow)
    failures = 0
    while True:
        before = run.done
        try:
            await run.session()
        except ProducerFenced as error:
            raise IngestError(f"another ingest of {feed.path} has taken over") from error
        except OSError as error:
            raise IngestError(f"{feed.path}: {error.strerror or error}") from error
        except (KafkaError, IllegalOperation, AssertionError) as error:
            # aiokafka asserts its states: after a failed transaction anything may follow.
            failures = 1 if run.done != before else failures + 1
            if failures >= TRIES:
                text = f"Kafka at {feed.bootstrap}: {error or type(error).__name__}"
                raise IngestError(text) from error
            await _wait(run.stop, RETRY_SECONDS)
        else:
            return run.done


class _Run:
    """One call of `ingest`: what is committed so far, and what may end it."""

    def __init__(
        self,
        feed: Feed,
        stop: asyncio.Event,
        progress: Callable[[Ingested], None],
        now_ms: Callable[[], int],
        *,
        follow: bool,
    ) -> None:
        self.feed = feed
        self.stop = stop
        self.progress = progress
        self.now_ms = now_ms
        self.follow = follow
        self.done = Ingested()
        self.position: Position | None = None
        self.state: Any = feed.source.start()

    async def session(self) -> None:
        """From the start of a producer to the end of the file, `stop`, or a failure."""
        async with _producer(self.feed) as producer:
            await self._load()
            while not self.stop.is_set():
                piece = read_piece(
                    self.feed.path,
                    self.position,
                    max_lines=self.feed.batch_lines,
                    is_final=not self.follow,
                )
                if piece is not None:
                    await self._take(producer, piece)
                    continue
                await self._flush(producer)
                if not self.follow:
                    return
                await _wait(self.stop, POLL_SECONDS)

    async def _load(self) -> None:
        saved = await _read_saved(self.feed)
        if saved is None:
            self.position, self.state = None, self.feed.source.start()
            return
        self.position, self.done = saved.position, saved.done
        self.state = self.feed.source.load(zlib.decompress(saved.state))

    async def _take(self, producer: AIOKafkaProducer, piece: Piece) -> None:
        folded = self.feed.source.fold(self.state, piece.lines, self.feed.options)
        done, ignored = self.done, dict(self.done.ignored)
        for verb, count in folded.ignored.items():
            ignored[verb] = ignored.get(verb, 0) + count
        after = Ingested(
            bytes_done=piece.position.offset,
            bytes_total=max(piece.size, piece.position.offset),
            lines=done.lines + len(piece.lines),
            events=done.events + len(folded.events),
            refused=done.refused + len(folded.refused),
            gaps=done.gaps + piece.gap,
            ignored=ignored,
        )
        letters = [
            dead_letter(
                refusal.why,
                _Record(
                    f"{self.feed.source.name}/{piece.file}",
                    piece.offsets[refusal.index],
                    refusal.payload,
                ),
            )
            for refusal in folded.refused
        ]
        await self._commit(producer, folded, letters, piece.position, after)

    async def _flush(self, producer: AIOKafkaProducer) -> None:
        """Tell what is due in a silent file; at the end of a file, all that is due by now."""
        behind_ms = FLUSH_BEHIND_MS if self.follow else 0
        until_ms = self.now_ms() - behind_ms
        folded = self.feed.source.flush(self.state, self.feed.options, until_ms)
        if folded.events and self.position is not None:
            after = msgspec.structs.replace(self.done, events=self.done.events + len(folded.events))
            await self._commit(producer, folded, [], self.position, after)

    async def _commit(
        self,
        producer: AIOKafkaProducer,
        folded: Folded[Any],
        letters: Sequence[Any],
        position: Position,
        after: Ingested,
    ) -> None:
        feed = self.feed
        saved = _Saved(
            _POSITION_VERSION, position, zlib.compress(feed.source.dump(folded.state), 1), after
        )
        records = _Records(producer)
        for event in folded.events:
            await records.add_event(feed.topics, event)
        for letter in letters:
            headers = list(letter.headers)
            await records.add(
                feed.topics.dead_letters.name, letter.key, letter.value, headers=headers
            )
        value = msgspec.msgpack.encode(saved)
        await records.add(feed.topics.ingest_positions.name, feed.file_id.encode(), value)
        await records.write()
        self.state, self.position, self.done = folded.state, position, after
        self.progress(after)


class _Records:
    """What one transaction writes, by topic and partition."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.waiting: dict[tuple[str, int], list[tuple[bytes, bytes, list[tuple[str, bytes]]]]] = {}

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
        value: bytes,
        *,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """A record, placed by its key unless a partition is given."""
        if partition is None:
            partition = partition_of(key, await self._partitions(topic))
        self.waiting.setdefault((topic, partition), []).append((key, value, headers or []))

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
                    record = {"key": key, "value": value, "timestamp": None, "headers": headers}
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


async def _read_saved(feed: Feed) -> _Saved | None:
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
        saved = msgspec.msgpack.decode(value, type=_Saved)
    except msgspec.ValidationError as error:
        raise IngestError(f"the saved position of {feed.path} cannot be read") from error
    if saved.version != _POSITION_VERSION:
        text = f"the saved position of {feed.path} has version {saved.version}"
        raise IngestError(text)
    return saved


@asynccontextmanager
async def _producer(feed: Feed) -> "AsyncIterator[AIOKafkaProducer]":
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


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop` is set or the time is over."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return

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
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
)
from msgspec import Struct

from cc_stream.dead_letters import Letter, dead_letter
from cc_stream.ingest_store import (
    POSITION_VERSION,
    Feed,
    Ingested,
    IngestError,
    Records,
    Saved,
    producer_of,
    read_saved,
)
from cc_stream.sources.follow import Piece, Position, read_piece
from cc_stream.sources.source import Folded

__all__ = ["Feed", "IngestError", "Ingested", "ingest"]

POLL_SECONDS: Final = 0.2
FLUSH_BEHIND_MS: Final = 5000
"""While a file is silent, what is due is told so long after its moment: lines may lag the clock."""
TRIES: Final = 5
"""Failed transactions in a row, after which ingestion ends."""
RETRY_SECONDS: Final = 1.0


class _Record(Struct, frozen=True):
    """A refused line as a dead letter sees it: the file is the topic, its bytes the offset."""

    topic: str
    offset: int
    value: bytes
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


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
        except (ProducerFenced, InvalidProducerEpoch) as error:
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
        async with producer_of(self.feed) as producer:
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
        saved = await read_saved(self.feed)
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
        letters: Sequence[Letter],
        position: Position,
        after: Ingested,
    ) -> None:
        feed = self.feed
        saved = Saved(
            POSITION_VERSION, position, zlib.compress(feed.source.dump(folded.state), 1), after
        )
        records = Records(producer)
        for event in folded.events:
            await records.add_event(feed.topics, event)
        for letter in letters:
            topic = feed.topics.dead_letters.name
            await records.add(topic, letter.key, letter.value, headers=letter.headers)
        value = msgspec.msgpack.encode(saved)
        await records.add(feed.topics.ingest_positions.name, feed.file_id.encode(), value)
        await records.write()
        self.state, self.position, self.done = folded.state, position, after
        self.progress(after)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop` is set or the time is over."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return

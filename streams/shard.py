"""A shard: one source partition, its state, its position, and one Kafka transaction per flush.

Exactly once rests on these steps (DESIGN section 3; the numbers stand in the code too):

1. Acquire: a producer with this shard's transactional id fences a former owner that only sleeps,
   and ends its open transaction in every partition that a shard of its kind writes to. Only then
   state and position are loaded, committed records only.
2. Flush: one transaction holds everything the shard learned, and its position. Every send is
   awaited before the commit, for aiokafka commits a transaction of which a batch has failed.
3. Deliveries are never trusted: exactly `[next, …)` is applied. Overlap is cut off, and what lies
   before the place where a fetch began is read by the shard itself.
4. Any failure is treated as a fence: the shard is dropped, and acquired again if it is still ours.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final, Protocol

import msgspec
from aiokafka import TopicPartition

from streams.broker import Broker, read_partition
from streams.fetched import Fetched
from streams.ground import Ground, Mark
from streams.load import Loading, Position, load
from streams.poison import Suspect, pieces
from streams.stage import POSITION_KEY, LossError, Record, Stage, Write
from streams.takeover import Takeover
from streams.transaction import Transactions

log: Final = logging.getLogger(__name__)

FLUSH_TIMEOUT_SECONDS: Final = 30.0
CHUNK: Final = 64
"""Events applied in one go, a millisecond or two: then the loop serves others."""
CATCHING_UP_CHUNK: Final = 256
"""The same of a shard that is far behind: nobody waits for what it reads."""
BACKLOG: Final = 4_000
"""A shard that has so many offsets before it is catching up: at 10,000 events a second some seconds
behind."""
IDLE_SECONDS: Final = 2.0
"""A shard that has not moved for so long is looked at: are there records that it should have?"""

_pack = msgspec.msgpack.Encoder().encode


class Observer(Protocol):
    """Where a shard reports what it measured (telemetry)."""

    def chunk(self, shard: str, records: int) -> None:
        """Records were applied."""

    def flushed(self, shard: str, seconds: float, records: int) -> None:
        """A flush was committed."""

    def transaction(self, shard: str, seconds: float) -> None:
        """The transaction in a flush has ended."""

    def loading(self, shard: str, remaining: int) -> None:
        """So many records of its changelog have still to be read before the shard counts."""

    def loaded(self, shard: str, seconds: float, records: int) -> None:
        """The shard was taken over."""

    def taken_over(self, shard: str, steps: Mapping[str, float]) -> None:
        """Its first output is out: seconds by step."""


class Shard:
    """One shard while this worker owns it: acquire, feed, flush, release."""

    def __init__(
        self,
        broker: Broker,
        source: TopicPartition,
        changelog: str,
        stage: Stage,
        observer: Observer,
    ) -> None:
        self.broker = broker
        self.source = source
        self.changelog = TopicPartition(changelog, source.partition)
        self.stage = stage
        self.observer = observer
        self.name = f"{stage.name}-{source.partition}"
        self.live = False
        self.next = 0
        self.durable = 0
        self.generation_ms = 0
        self.last_progress = time.monotonic()
        self.takeover = Takeover(0.0)
        self.suspect: Suspect | None = None
        self.working: tuple[int, int] | None = None
        self.ground = Ground(broker, source)
        self._waiting_since: tuple[int, float] | None = None
        self._empty_to = self._end = self._unyielded = 0
        self._mark: Mark | None = None
        self._last: Mark | None = None
        self.transactions = Transactions(broker, self.name, self.changelog, stage.writes_to)
        self._settles = False
        self._flushing = asyncio.Lock()
        self._feeding = asyncio.Lock()

    async def acquire(self) -> None:
        """Fence, load, and be live at `next`.

        Raises:
            LossError: records beyond the position are gone, or the topic was made anew.
            KafkaError: the broker cannot be reached.
        """
        started = time.monotonic()
        self.takeover.begin()
        await self.transactions.fence()  # (1)
        self.takeover.end("fence")
        try:
            records, position = await load(
                self.broker, self.changelog, self.stage, Loading(self.name, self.observer.loading)
            )
        finally:
            self.observer.loading(self.name, 0)
        end = await self._place(position)
        self.takeover.end("load")
        self.takeover.is_live(end)
        self.durable = self.next
        self.stage.started(self.generation_ms, self.next)
        self.live = True
        self.last_progress = time.monotonic()
        self.observer.loaded(self.name, time.monotonic() - started, records)
        log.info(
            "shard %s is live at %d: %d records loaded in %.2f s",
            self.name, self.next, records, time.monotonic() - started,
        )  # fmt: skip

    async def _place(self, position: Position | None) -> int:
        """Set `next`; refuse to go on where records were lost. The end of the partition."""
        await self.ground.open()
        if position is None:
            self.next = await self.ground.first()
            self.generation_ms = time.time_ns() // 1_000_000
        else:
            self.next, self.generation_ms = position.next, position.generation_ms
            self._mark = position.mark
        return await self.verify()

    async def verify(self) -> int:
        """Make sure that nothing was lost; the shard goes on counting. The partition's end.

        Raises:
            LossError: records beyond `next` are gone, or the topic was made anew.
            KafkaError, TimeoutError: the broker did not tell.
        """
        last, following = self._last, self.next
        end = await self.ground.check_end(following)
        first = await self.ground.first()
        if first > self.next:
            message = f"records {self.next} to {first} were deleted before they were counted"
            raise LossError(message)
        if self._mark is not None and self._mark != last:
            await self.ground.check_mark(self._mark)
        # Read before the old mark was proven: so it is of the same topic.
        self._mark = last or self._mark
        if self.live:
            await self._look_for_more(following, end)
        return end

    async def _look_for_more(self, following: int, end: int) -> None:
        """Note since when records lie beyond `next`; the group's consumer may have died."""
        self._empty_to = max(self._empty_to, following)
        if self._waiting_since is not None and self._waiting_since[0] == following:
            return
        noticed = time.monotonic()
        is_idle = self.next == following and self.idle_seconds() > IDLE_SECONDS
        if not is_idle or end <= self._empty_to:
            return
        if await self.ground.has_record(following, end):
            self._waiting_since = following, noticed
        else:
            self._empty_to = end

    def stalled_seconds(self) -> float:
        """For how long this shard has not moved although records were there. Any thread may ask."""
        waiting = self._waiting_since
        if waiting is None or waiting[0] != self.next or not self.live:
            return 0.0
        return time.monotonic() - waiting[1]

    async def feed(self, records: Fetched) -> None:
        """(3) Apply what of the records is next; read a hole before them.

        Raises:
            LossError: what lies in the hole was deleted.
        """
        async with self._feeding:
            if not self.live or not records or records[-1].offset < self.next:
                return
            self._end = records.end
            if records.begin > self.next:
                await self._fill_hole(records.begin)
            await self._apply_all(records)

    async def _apply_all(self, records: Sequence[Record]) -> None:
        if records[0].offset < self.next:
            records = [record for record in records if record.offset >= self.next]
        size = CATCHING_UP_CHUNK if self.is_catching_up() else CHUNK
        for weight, piece in pieces(records, self.suspect, size):
            self._apply(piece)
            if self.suspect is not None:
                await self.flush(time.time_ns() // 1_000_000)
                if self.next >= self.suspect.end:
                    self.suspect = None
            self._unyielded += weight
            if self._unyielded >= CHUNK:
                self._unyielded = 0
                await asyncio.sleep(0)
            if not self.live:
                return

    def _apply(self, records: Sequence[Record]) -> None:
        last = records[-1]
        self.working = records[0].offset, last.offset + 1
        if self.suspect is not None and self.suspect.alone and last.offset == self.suspect.begin:
            self.stage.bury(last, self.suspect.refused)
            log.error(
                "shard %s: the record at %d is poison (%s) and becomes a dead letter",
                self.name, last.offset, self.suspect.error,
            )  # fmt: skip
        else:
            self.stage.apply(records)
        self.working = None
        self.next = last.offset + 1
        self._last = Mark(last.offset, last.timestamp)
        self.takeover.applied(last.timestamp)
        self._mark = self._mark or self._last
        self.last_progress = time.monotonic()
        self.observer.chunk(self.name, len(records))

    async def _fill_hole(self, upto: int) -> None:
        """Read `[next, upto)` ourselves: what is not there is no record (a marker, compaction)."""
        begin = self.next
        async for missed in read_partition(self.broker, self.source, begin, upto):
            if not self.live:
                return
            await self._apply_all(missed)
        if self.next > begin:
            log.info("shard %s read the hole %d to %d itself", self.name, begin, upto)

    def idle_seconds(self) -> float:
        """How long ago the last record was applied."""
        return time.monotonic() - self.last_progress

    def delay_seconds(self) -> float:
        """How long ago the last record that was applied had reached the broker."""
        last = self._last
        return 0.0 if last is None else max(0.0, time.time() - last.timestamp_ms / 1000)

    def is_catching_up(self) -> bool:
        """Whether more lies on the broker than it can take at once, whatever the clocks say."""
        # Of markers alone nothing is fed: one that stands still has nothing before it.
        return self._end - self.next >= BACKLOG and self.idle_seconds() < IDLE_SECONDS

    def is_dirty(self, now_ms: int) -> bool:
        """Whether a flush has anything to write."""
        return self.live and (self._settles or self.stage.is_dirty(now_ms))

    def settle(self) -> None:
        """The next flush commits everywhere, and is soon: a commit may lie without its marker."""
        self._settles = True

    @property
    def is_flushing(self) -> bool:
        """Whether a flush is under way."""
        return self._flushing.locked()

    async def flush(self, now_ms: int) -> None:
        """(2) Write what was learned, in one transaction. Any exception means: drop the shard."""
        async with self._flushing:
            if not self.is_dirty(now_ms):
                return
            started = time.monotonic()
            upto = self.next
            settles, self._settles = self._settles, False
            self.working = self.durable, upto
            cut = self.stage.cut(now_ms)
            self.working = None
            position = Position(upto, self.generation_ms, cut.memory, self._mark)
            topic, partition = self.changelog
            tail = Write(topic, partition, POSITION_KEY, _pack(position))
            began = time.monotonic()
            records = await asyncio.wait_for(
                self.transactions.commit(chain(cut.writes, [tail]), everywhere=settles),
                FLUSH_TIMEOUT_SECONDS,
            )
            self.durable = upto
            cut.committed()
            ended = time.monotonic()
            if (steps := self.takeover.committed(upto)) is not None:
                self.observer.taken_over(self.name, steps)
            self.observer.transaction(self.name, ended - began)
            self.observer.flushed(self.name, ended - started, records)

    async def release(self) -> None:
        """Stop; whatever was not flushed is given up, for the next owner reads it again."""
        self.live = False
        try:
            await asyncio.gather(self.transactions.stop(), self.ground.close())
        except Exception as error:  # noqa: BLE001 - a fenced producer may fail in any way
            log.info("shard %s: its clients ended with %r", self.name, error)

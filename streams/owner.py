"""The shards that this worker owns: taken when assigned, dropped when not, flushed in time.

Acquiring runs beside the rebalance callback, never inside it, for no heartbeat is sent there.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Final

from aiokafka import TopicPartition
from msgspec import Struct

from streams.fetched import Fetched
from streams.pace import Workload, flushes_per_second
from streams.poison import Suspect, suspect_of
from streams.shard import Shard
from streams.stage import LossError
from streams.strikes import Strikes
from streams.takeover import Takeover

log: Final = logging.getLogger(__name__)

CATCHING_UP_FLUSH_SECONDS: Final = 2.0
"""A shard that is far behind flushes so often: more is combined, and nobody waits for it."""
CATCHING_UP_FLUSH_RECORDS: Final = 25_000
"""Or after so many records: the loop is held while they are cut, for a tenth of a second."""
LOOK_SECONDS: Final = 0.1
"""How often shards are looked at that nothing was given to: alerts and views go with time."""
STEP_SECONDS: Final = 0.01
"""What comes within so long is looked at once."""
ATTEMPTS: Final = 5
"""Failures in a row of one shard until the worker ends and is started again."""
POISONS: Final = 10
"""Records in a row that a shard leaves out as poison. Each has it loaded anew a few times."""

STOPPED: Final = (
    "shard %s stops and does not count on: %s (its state and position are as they were; "
    "what to do: docs/operations.md, When something fails)"
)

Make = Callable[[TopicPartition], Shard]


class Stopped(Struct, frozen=True):
    """A shard that does not count on, because numbers would be wrong: an operator decides."""

    shard: str
    reason: str


def now_ms() -> int:
    """The worker's clock, milliseconds UTC."""
    return time.time_ns() // 1_000_000


class Owner:
    """Owns shards. `seek` moves the group's consumer; `give_up` ends the worker.

    `is_away` says whether the broker does not answer: no shard's fault, and none is counted.
    """

    def __init__(
        self,
        make: Make,
        heartbeat_seconds: float,
        flush_seconds: dict[str, float],
        dropped: Callable[[str], None],
    ) -> None:
        """`flush_seconds`: by stage name, how often a dirty shard commits.

        `dropped` is told the name of a shard that failed.
        """
        self.make = make
        self.dropped = dropped
        self.heartbeat_seconds = heartbeat_seconds
        self.flush_seconds = flush_seconds
        self.shards: dict[TopicPartition, Shard] = {}
        self.assigned: set[TopicPartition] = set()
        self.stopped: dict[TopicPartition, Stopped] = {}
        self.seek: Callable[[TopicPartition, int], Awaitable[None]] = _no_seek
        self.give_up: Callable[[BaseException], Awaitable[None]] = _raise
        self.closing = False
        self.joined = False
        self.is_away: Callable[[], bool] = _never
        self.workload = Workload()
        self._failures = Strikes()
        self._poisoned = Strikes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._joining_since: float | None = None
        self._join_seconds = 0.0
        self._loading = asyncio.Semaphore(2)  # one waits for the broker, one computes
        self._news: list[tuple[str | None, asyncio.Event]] = []

    def rebalancing(self) -> None:
        """The group is being joined anew."""
        self._joining_since = time.monotonic()

    def live(self) -> list[Shard]:
        """The shards that count."""
        return [shard for shard in self.shards.values() if shard.live]

    def news(self, stage: str | None = None) -> asyncio.Event:
        """An event that is set when a shard of the stage, or of any, was given records."""
        event = asyncio.Event()
        self._news.append((stage, event))
        return event

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Called with all partitions that this worker has from now on."""
        self.joined = True
        if self._joining_since is not None:
            self._join_seconds = time.monotonic() - self._joining_since
            self._joining_since = None
        self.assigned = {TopicPartition(tp.topic, tp.partition) for tp in partitions}
        for tp in [tp for tp in self.shards if tp not in self.assigned]:
            self._spawn(self.shards.pop(tp).release())
        self.stopped = {tp: why for tp, why in self.stopped.items() if tp in self.assigned}
        new = self.assigned - self.shards.keys() - self.stopped.keys()
        # The floor before the board: it gates every other shard.
        for tp in sorted(new, key=lambda tp: "deltas" in tp.topic):
            self._take(tp, 0.0, None)

    def _take(self, tp: TopicPartition, delay_seconds: float, suspect: Suspect | None) -> None:
        if self.closing or tp not in self.assigned:
            return
        shard = self.shards[tp] = self.make(tp)
        shard.suspect = suspect
        shard.takeover = Takeover(self._join_seconds)
        self._spawn(self._acquire(tp, shard, delay_seconds))

    async def _acquire(self, tp: TopicPartition, shard: Shard, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        if self.shards.get(tp) is not shard:
            return
        try:
            async with self._loading:
                if self.shards.get(tp) is not shard:
                    return  # taken away while it waited: its new owner must not be fenced
                await shard.acquire()
            if self.shards.get(tp) is shard:
                await self.seek(tp, shard.next)
        except Exception as error:  # noqa: BLE001 - the one error policy of shards
            await self.failed(tp, shard, error)
        if self.shards.get(tp) is not shard:
            await shard.release()  # taken away while it loaded

    async def failed(self, tp: TopicPartition, shard: Shard, error: BaseException) -> None:
        """(4) Drop the shard; take it again after a heartbeat if it is still ours."""
        if self.shards.get(tp) is not shard:
            return
        del self.shards[tp]
        shard.live = False  # at once: a flush that waits must not store half a chunk
        self._spawn(shard.release())
        self.dropped(shard.name)
        if isinstance(error, LossError):
            self._stop(tp, shard, str(error))
            return
        suspect = suspect_of(shard.working, shard.suspect, error)
        if suspect is not None:
            if shard.suspect is None and self._poisoned.again(tp) > POISONS:
                self._stop(
                    tp, shard, f"the program fails on more than {POISONS} records: {error!r}"
                )
                return
            log.warning(
                "shard %s fails on records %d to %d: it is loaded anew to find the one: %r",
                shard.name, suspect.begin, suspect.end - 1, error, exc_info=error,
            )  # fmt: skip
            self._take(tp, 0.0, suspect)
            return
        # The time that a broker may be away is bounded by the watchdog.
        failures = 1 if self.is_away() else self._failures.again(tp)
        log.warning(
            "shard %s is dropped (%d in a row): %r", shard.name, failures, error, exc_info=error
        )
        if failures >= ATTEMPTS:
            await self.give_up(error)
        else:
            self._take(tp, 1.5 * self.heartbeat_seconds * failures, shard.suspect)

    def _stop(self, tp: TopicPartition, shard: Shard, reason: str) -> None:
        self.stopped[tp] = Stopped(shard.name, reason)
        log.error(STOPPED, shard.name, reason)

    async def feed(self, tp: TopicPartition, records: Fetched) -> None:
        """Give records to the shard that owns their partition; without one they are dropped."""
        shard = self.shards.get(tp)
        if shard is None or not shard.live:
            return
        self.workload.add(len(records))
        try:
            await shard.feed(records)
        except Exception as error:  # noqa: BLE001 - the one error policy of shards
            await self.failed(tp, shard, error)
            return
        for stage, event in self._news:
            if stage is None or stage == shard.stage.name:
                event.set()

    def settle(self) -> None:
        """The broker was away and is back: a commit of before may lie without its marker."""
        shards = self.live()
        for shard in shards:
            shard.settle()
        log.info("the broker is back: %d shards commit in every partition", len(shards))

    async def verify(self) -> None:
        """Have every shard make sure that its topic is the one that it has counted."""
        await asyncio.gather(*(self._verify(tp, s) for tp, s in self.shards.items() if s.live))

    async def _verify(self, tp: TopicPartition, shard: Shard) -> None:
        try:
            await shard.verify()
        except LossError as error:
            await self.failed(tp, shard, error)
        except Exception as error:  # noqa: BLE001 - the one error policy of shards
            if self.shards.get(tp) is shard:  # else it was let go meanwhile
                log.warning("shard %s could not look at its topic: %r", shard.name, error)

    async def flush_loop(self) -> None:
        """Flush each dirty shard when its time has come, for ever; none waits for another's.

        The more shards are dirty, and the busier the worker is, the longer it is until the next
        time of each.
        """
        flushed: dict[TopicPartition, float] = {}
        news = self.news()
        while not self.closing:
            news.clear()
            started, now = time.monotonic(), now_ms()
            dirty = [(tp, shard) for tp, shard in self.shards.items() if shard.is_dirty(now)]
            soonest = started + LOOK_SECONDS
            load = sum(self._share(shard) for _, shard in dirty)
            turn = load / flushes_per_second(self.workload.load())
            for tp, shard in dirty:
                wait = self._flush_wait(shard, turn)
                if flushed.get(tp, 0.0) + wait <= started and not shard.is_flushing:
                    flushed[tp] = started
                    self._spawn(self._flush(tp, shard, now))
                soonest = min(soonest, flushed.get(tp, 0.0) + wait)
            await asyncio.sleep(max(0.0, started + STEP_SECONDS - time.monotonic()))
            await heard(news, soonest - time.monotonic())

    def _share(self, shard: Shard) -> float:
        """How often it flushes for each time of one that flushes most often."""
        return min(self.flush_seconds.values()) / self.flush_seconds[shard.stage.name]

    def _flush_wait(self, shard: Shard, turn: float) -> float:
        """How long it is at least from one flush of a shard to the next, if all have their turn.

        One that flushes less often than others by its settings takes every second turn, as long as
        that is no more than twice its own time.
        """
        if shard.is_catching_up() and shard.next - shard.durable < CATCHING_UP_FLUSH_RECORDS:
            return CATCHING_UP_FLUSH_SECONDS
        own = self.flush_seconds[shard.stage.name]
        wait = max(own, turn)
        return wait if self._share(shard) == 1 else max(wait, 2 * min(own, turn))

    async def _flush(self, tp: TopicPartition, shard: Shard, now: int) -> None:
        try:
            await shard.flush(now)
            self._failures.forgive(tp)
        except Exception as error:  # noqa: BLE001 - the one error policy of shards
            await self.failed(tp, shard, error)

    async def flush_all(self) -> None:
        """Flush everything now, before a rebalance or the end: the next owner reads it once.

        What a board tells to its topics every few seconds is told now.
        """
        now = now_ms()
        shards = [(tp, shard) for tp, shard in self.shards.items() if shard.live]
        for _, shard in shards:
            shard.stage.hurry()
        await asyncio.gather(*(self._flush(tp, s, now) for tp, s in shards if s.is_dirty(now)))

    async def close(self) -> None:
        """Let go of every shard; what is not flushed is read again by the next owner."""
        self.closing = True
        shards, self.shards = list(self.shards.values()), {}
        await asyncio.gather(*(shard.release() for shard in shards))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def heard(news: asyncio.Event, seconds: float) -> None:
    """Wait until there is news, no longer than so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()


def _never() -> bool:
    return False


async def _no_seek(_tp: TopicPartition, _offset: int) -> None:
    """Until the driver is there, there is no consumer to move."""


async def _raise(error: BaseException) -> None:
    raise error

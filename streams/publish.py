"""Views leave: every board shard of this worker ticks, and the sinks are told what changed.

A sink that cannot be reached never stops the stream: it is tried again, and told everything when it
is back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from cc_stream.sinks.sink import Sink, SinkUnavailable, Update
from streams.board import Board
from streams.owner import LOOK_SECONDS, STEP_SECONDS, Owner, heard, now_ms

log: Final = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
STATUS_SECONDS: Final = 1.0
TOGETHER_SECONDS: Final = 0.025
"""Shards flush together: what they tell comes within so long, and is shown in one go."""
AGENTS_AT_ONCE: Final = 20
"""Agents of a board in one go, a millisecond or two: then others have their turn."""
RESTS, RESTS_BEHIND = 4, 199
"""After boards were read nothing is shown for so many times as long: views must not hold up the
counting. Sinks take about as long again, so of a loop's time a third goes to views at most; hardly
any while a shard catches up."""
LONGEST_REST_SECONDS: Final = 1.0


class Lane:
    """One sink, and whether it can be reached."""

    __slots__ = ("down_until", "name", "sink")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.name = type(sink).__name__
        self.down_until: float | None = None

    def is_resting(self) -> bool:
        """Down, and not yet to be tried again."""
        return self.down_until is not None and time.monotonic() < self.down_until

    async def publish(self, update: Update) -> bool:
        """Tell the sink; True when the shard's next update has to be whole."""
        if self.is_resting():
            return False
        was_down = self.down_until is not None
        if was_down and not update.whole:
            return True
        try:
            wants_whole = await self.sink.publish(update)
        except SinkUnavailable as error:
            if not was_down:
                log.warning("%s cannot be reached, the stream goes on: %s", self.name, error)
            self.down_until = time.monotonic() + RETRY_SECONDS
            return False
        if was_down:
            log.info("%s is back", self.name)
            self.down_until = None
        return wants_whole


class Ticks(Struct, frozen=True):
    """How often views are shown: queues and teams; agents, the floor and leaderboards."""

    seconds: float
    agent_seconds: float


class Publisher:
    """Ticks the boards of an owner and tells the sinks."""

    def __init__(
        self,
        owner: Owner,
        sinks: Sequence[Sink],
        ticks: Ticks,
        observe_delay: Callable[[float], None],
    ) -> None:
        """`observe_delay` is told, in seconds, how long after its arrival an event was shown."""
        self.owner = owner
        self.lanes = [Lane(sink) for sink in sinks]
        self.ticks = ticks
        self.observe_delay = observe_delay
        self.known: dict[int, Board] = {}
        self.told_at: dict[int, float] = {}
        self.agents_at: dict[int, float] = {}

    async def publish_loop(self) -> None:
        """Tell for ever of queues and teams, when a board was told something."""
        news = self.owner.news(Board.name)
        while not self.owner.closing:
            news.clear()
            started = time.monotonic()
            reading = await self.publish_once()
            await self._rest(time.monotonic() - started, reading)
            await heard(news, started + LOOK_SECONDS - time.monotonic())
            await asyncio.sleep(TOGETHER_SECONDS)

    async def publish_agents_loop(self) -> None:
        """Tell for ever of agents and the floor: some of each board whose time has come."""
        while not self.owner.closing:
            started = time.monotonic()
            reading = sum([await self._publish_agents(partition) for partition in self.known])
            if reading:
                await self._rest(time.monotonic() - started, reading)
            else:
                await asyncio.sleep(LOOK_SECONDS)

    async def _rest(self, spent: float, reading: float) -> None:
        """Show nothing for a while; what is shown has waited until all is counted, no longer."""
        rested = 0.0
        while (left := self.rest_seconds(spent, reading) - rested) > 0:
            await asyncio.sleep(step := min(left, LOOK_SECONDS))
            rested += step

    def rest_seconds(self, spent: float, reading: float) -> float:
        """How long nothing is shown after a pass of so long, so much of it reading boards."""
        is_behind = any(shard.is_catching_up() for shard in self.owner.live())
        rest = min((RESTS_BEHIND if is_behind else RESTS) * reading, LONGEST_REST_SECONDS)
        return max(self.ticks.seconds - spent, rest, STEP_SECONDS)

    async def publish_once(self) -> float:
        """Every board shard's queues, one read while a sink is told of another; see `_publish`."""
        boards = self._boards()
        for partition in self.known.keys() - boards.keys():
            for lane in self.lanes:
                lane.sink.forget(partition)
        returning = [lane for lane in self.lanes if lane.down_until and not lane.is_resting()]
        for partition, board in boards.items():
            if returning or self.known.get(partition) is not board:
                board.repeat_whole()
        each = (self._publish(partition, board, agents=0) for partition, board in boards.items())
        reading = await asyncio.gather(*each)
        self.known = boards
        return sum(reading)

    async def _publish_agents(self, partition: int) -> float:
        """The next that wait, if this board's round is due; a round ends when none waits."""
        board = self._boards().get(partition)
        now, since = time.monotonic(), self.agents_at.get(partition, 0.0)
        if board is None or now - since < self.ticks.agent_seconds:
            return 0.0
        reading = await self._publish(partition, board, agents=AGENTS_AT_ONCE)
        if not board.has_waiting:
            self.agents_at[partition] = now
        return reading

    def _boards(self) -> dict[int, Board]:
        return {
            shard.source.partition: shard.stage
            for shard in self.owner.live()
            if isinstance(shard.stage, Board)
        }

    async def _publish(self, partition: int, board: Board, *, agents: int | None) -> float:
        """Tick a board and tell the sinks; how many seconds it took to read the board."""
        arrivals, board.arrivals_ms = board.arrivals_ms, []
        began = time.monotonic()
        update = board.tick(now_ms(), agents=agents)
        reading = time.monotonic() - began
        if update is None:
            if agents or time.monotonic() - self.told_at.get(partition, 0.0) < STATUS_SECONDS:
                return reading
            update = board.status(now_ms())
        self.told_at[partition] = time.monotonic()
        for lane in self.lanes:
            if await lane.publish(update):
                board.repeat_whole()
        shown_ms = now_ms()
        for arrived_ms in arrivals:
            self.observe_delay(max(0, shown_ms - arrived_ms) / 1000)
        return reading

    async def close(self) -> None:
        """Show what is there for the last time, and let the sinks go."""
        for partition, board in self._boards().items():
            await self._publish(partition, board, agents=None)
        for lane in self.lanes:
            await lane.sink.close()

"""What a shard was when it was last committed: loaded from its changelog in bulk.

Nothing here holds the event loop for long: other shards of the worker go on meanwhile.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from msgspec import Struct

from streams.broker import Broker, read_partition
from streams.ground import Mark
from streams.stage import POSITION_KEY, Stage

log: Final = logging.getLogger(__name__)

SLICE_SECONDS: Final = 0.005
"""How long a shard that loads holds the loop at most, but for a single step of its stage."""
TELL_SECONDS: Final = 1.0
"""How often a shard that loads says how far it is."""


class Position(Struct):
    """Where a shard is. `generation_ms`: when its first state was made; orders views of remakes.

    `mark` is a record before `next`; None before the first.
    """

    next: int
    generation_ms: int
    memory: dict[str, Any]
    mark: Mark | None = None


_unpack_position: Final = msgspec.msgpack.Decoder(Position).decode


class Loading:
    """Says how far a shard that loads is."""

    def __init__(self, shard: str, remain: Callable[[str, int], None]) -> None:
        """`remain` is told of each step: so many records have still to be read."""
        self.shard = shard
        self.remain = remain
        self.started = self.told = time.monotonic()

    def __call__(self, read: int, total: int) -> None:
        """So many of `total` offsets of the changelog are read."""
        now = time.monotonic()
        self.remain(self.shard, total - read)
        if now - self.told >= TELL_SECONDS:
            self.told = now
            log.info(
                "shard %s loads: %d %% of %d records, %d a second",
                self.shard, 100 * read // total, total, read / (now - self.started),
            )  # fmt: skip


async def load(
    broker: Broker, changelog: TopicPartition, stage: Stage, loading: Loading
) -> tuple[int, Position | None]:
    """Restore the stage from the changelog; how many records it had, and the position.

    Raises:
        KafkaError, TimeoutError: the broker did not give everything.
    """
    last: dict[bytes, bytes | None] = {}
    count = 0
    with _no_collector():
        async for records in read_partition(broker, changelog, progress=loading):
            count += len(records)
            for record in records:
                last[record.key] = record.value
            await asyncio.sleep(0)
        packed = last.pop(POSITION_KEY, None)
        if packed is None:
            return count, None
        position = _unpack_position(packed)
        await _restore(stage, position.memory, last)
    return count, position


async def _restore(stage: Stage, memory: dict[str, Any], last: dict[bytes, bytes | None]) -> None:
    items = ((key, value) for key, value in last.items() if value is not None)
    rested = time.monotonic()
    for _ in stage.restore(memory, items):
        if time.monotonic() - rested > SLICE_SECONDS:
            await asyncio.sleep(0)
            rested = time.monotonic()


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the garbage collector, for nothing of what is loaded is garbage.

    Afterwards all of it is in the oldest generation: no collection of the young ones goes through
    it. A shard that has loaded beside this one may switch the collector on before.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        gc.enable()

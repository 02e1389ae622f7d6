"""What an owner does with a shard that failed."""

import asyncio
from typing import Any

from aiokafka import TopicPartition

from streams.owner import Owner

TP = TopicPartition("calls", 0)


class HalfApplied:
    """A shard whose stage fails in the middle of a chunk; notes what is stored afterwards."""

    name = "calls-0"
    source = TP

    def __init__(self) -> None:
        self.live = True
        self.flushed = 0

    def is_dirty(self, _now_ms: int) -> bool:
        return self.live

    async def flush(self, now_ms: int) -> None:
        if self.is_dirty(now_ms):
            self.flushed += 1

    async def feed(self, _records: list[Any], _follows: int | None) -> None:
        raise RuntimeError("the second record of two")

    async def release(self) -> None:
        self.live = False


def test_a_flush_chosen_before_a_failure_does_not_store_half_a_chunk() -> None:
    async def scenario() -> int:
        shard: Any = HalfApplied()
        owner = Owner(lambda _tp: shard, 1.0, {}, lambda _name: None)
        owner.shards[TP] = shard
        # As `flush_loop` and the agent that feeds do it within one turn of the loop.
        fed = asyncio.create_task(owner.feed(TP, [object()], None))  # type: ignore[list-item]
        chosen = asyncio.create_task(shard.flush(0))
        await asyncio.gather(fed, chosen)
        return int(shard.flushed)

    assert asyncio.run(scenario()) == 0

"""A flush that does not end: its shard's release ends it, and no other shard waits for it."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.owner import Owner
from streams.transaction import ReleasedError, Transactions
from tests.waiting import until


class Producer:
    """A producer whose commit is never answered: aiokafka tells nobody when it is stopped."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def begin_transaction(self) -> None: ...
    async def flush(self) -> None: ...
    async def abort_in(self, partitions: Collection[TopicPartition]) -> None: ...

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    async def commit_transaction(self) -> None:
        await asyncio.Event().wait()


class Consumer:
    """A consumer to which partitions grow with each look."""

    def __init__(self) -> None:
        self.looks = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def end_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        self.looks += 1
        return dict.fromkeys(partitions, self.looks)


class Broker:
    """Has these two alone."""

    def consumer(self, isolation_level: str) -> Consumer:
        assert isolation_level == "read_uncommitted"
        return Consumer()

    def producer(self, _shard: str) -> Producer:
        return Producer()


def test_who_waits_for_a_commit_hears_of_the_release() -> None:
    async def scenario() -> None:
        transactions = Transactions(
            Broker(),  # type: ignore[arg-type]
            "calls-0",
            TopicPartition("contacts-changelog", 0),
            (),
        )
        await transactions.fence()
        commit = asyncio.ensure_future(transactions.commit([]))
        await asyncio.sleep(0)
        await transactions.stop()
        with pytest.raises(ReleasedError, match="calls-0 was let go of while it wrote"):
            await commit

    asyncio.run(scenario())


class Flushed:
    """A shard that is always dirty; one that hangs never ends its first flush."""

    suspect = working = None
    live = True

    def __init__(self, name: str, *, hangs: bool) -> None:
        self.name, self.hangs = name, hangs
        self.flushes = 0
        self.is_flushing = False
        self.stage: Any = self

    def is_dirty(self, _now_ms: int) -> bool:
        return True

    def is_catching_up(self) -> bool:
        return False

    async def flush(self, _now_ms: int) -> None:
        self.flushes += 1
        if self.hangs:
            self.is_flushing = True
            await asyncio.Event().wait()


def test_no_shard_waits_for_the_flush_of_another() -> None:
    async def scenario() -> tuple[int, bool]:
        owner = Owner(lambda _tp: None, 1.0, {"a": 0.01, "b": 0.01}, lambda _name: None)  # type: ignore[arg-type, return-value]
        stuck, free = Flushed("a", hangs=True), Flushed("b", hangs=False)
        for number, shard in enumerate((stuck, free)):
            owner.shards[TopicPartition("calls", number)] = shard  # type: ignore[assignment]
        loop = asyncio.create_task(owner.flush_loop())
        await until(lambda: free.flushes >= 5, "the free one goes on", 10)
        loop.cancel()
        return stuck.flushes, free.flushes >= 5

    assert asyncio.run(scenario()) == (1, True)

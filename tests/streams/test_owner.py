"""What an owner does with a shard that failed."""

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from streams.fetched import Fetched
from streams.owner import CATCHING_UP_FLUSH_RECORDS, CATCHING_UP_FLUSH_SECONDS, Owner
from streams.pace import Workload

TP = TopicPartition("calls", 0)


class HalfApplied:
    """A shard whose stage fails in the middle of a chunk; notes what is stored afterwards."""

    name = "calls-0"
    source = TP
    suspect = working = None

    def __init__(self) -> None:
        self.live = True
        self.flushed = 0

    def is_dirty(self, _now_ms: int) -> bool:
        return self.live

    async def flush(self, now_ms: int) -> None:
        if self.is_dirty(now_ms):
            self.flushed += 1

    async def feed(self, _records: Fetched) -> None:
        raise RuntimeError("the second record of two")

    async def release(self) -> None:
        self.live = False


def test_a_flush_chosen_before_a_failure_does_not_store_half_a_chunk() -> None:
    async def scenario() -> int:
        shard: Any = HalfApplied()
        owner = Owner(lambda _tp: shard, 1.0, {}, lambda _name: None)
        owner.shards[TP] = shard
        # As `flush_loop` and the agent that feeds do it within one turn of the loop.
        fed = asyncio.create_task(owner.feed(TP, Fetched([object()], 0)))
        chosen = asyncio.create_task(shard.flush(0))
        await asyncio.gather(fed, chosen)
        return int(shard.flushed)

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize(
    ("behind", "unflushed", "wait"),
    [
        (False, 10, 0.05),
        (True, 10, CATCHING_UP_FLUSH_SECONDS),
        (True, CATCHING_UP_FLUSH_RECORDS, 0.05),
    ],
)
def test_a_shard_that_catches_up_flushes_seldom_but_not_too_much_at_once(
    behind: bool,  # noqa: FBT001 - a case
    unflushed: int,
    wait: float,
) -> None:
    owner = Owner(lambda _tp: pytest.fail("nothing is taken"), 1.0, {"calls": 0.05}, print)
    shard: Any = SimpleNamespace(
        stage=SimpleNamespace(name="calls"),
        is_catching_up=lambda: behind,
        next=100 + unflushed,
        durable=100,
    )
    assert owner._flush_wait(shard, 0.01) == wait  # noqa: SLF001 - what the flush loop waits for


@pytest.mark.parametrize(
    ("name", "turn", "wait"),
    [
        ("calls", 0.01, 0.05),
        ("calls", 0.2, 0.2),
        ("agents", 0.1, 0.25),
        ("agents", 0.2, 0.4),
        ("agents", 0.4, 0.5),
        ("agents", 0.7, 0.7),
    ],
)
def test_with_many_dirty_shards_those_of_agents_take_every_second_turn(
    name: str, turn: float, wait: float
) -> None:
    often = {"calls": 0.05, "agents": 0.25}
    owner = Owner(lambda _tp: pytest.fail("nothing is taken"), 1.0, often, print)
    shard: Any = SimpleNamespace(stage=SimpleNamespace(name=name), is_catching_up=lambda: False)
    assert owner._flush_wait(shard, turn) == wait  # noqa: SLF001 - what the flush loop waits for


class Slow:
    """A shard that loads until it is told to end, and may fail then."""

    name = "calls-0"
    next = 0
    suspect = working = None

    def __init__(self, log: list[str], fault: Exception | None = None) -> None:
        self.live = False
        self.log = log
        self.fault = fault
        self.loaded = asyncio.Event()

    async def acquire(self) -> None:
        self.log.append("fences")
        await self.loaded.wait()
        if self.fault is not None:
            raise self.fault
        self.live = True

    async def release(self) -> None:
        self.live = False
        self.log.append("releases")


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_shard_taken_away_while_it_waits_fences_nobody() -> None:
    async def scenario() -> list[str]:
        log: list[str] = []
        busy: list[Any] = [Slow([]) for _ in range(4)]
        made: list[Any] = [*busy, Slow(log)]
        owner = Owner(lambda tp: made[tp.partition], 1.0, {}, lambda _name: None)
        partitions = [TopicPartition("calls", index) for index in range(5)]
        for assigned in (partitions[:4], partitions, partitions[:4]):  # four load at a time
            owner.assign(assigned)
            await turns()
        for shard in busy:
            shard.loaded.set()
        await turns()
        assert len(owner.live()) == 4
        return log

    assert asyncio.run(scenario()) == ["releases"]


@pytest.mark.parametrize("fault", [None, RuntimeError("no broker")])
def test_a_shard_taken_away_while_it_loads_lets_go(fault: Exception | None) -> None:
    async def scenario() -> tuple[list[str], bool]:
        log: list[str] = []
        shard: Any = Slow(log, fault)
        owner = Owner(lambda _tp: shard, 1.0, {}, lambda _name: None)
        owner.assign([TP])
        await turns()
        owner.assign([])
        await turns()
        shard.loaded.set()
        await turns()
        return log, shard.live

    # The first time nothing may be there yet to let go of.
    assert asyncio.run(scenario()) == (["fences", "releases", "releases"], False)


def test_the_state_of_a_shard_that_left_is_let_go() -> None:
    async def scenario() -> tuple[bool, bool]:
        made: list[weakref.ref[Any]] = []

        def make(_tp: TopicPartition) -> Any:
            shard = Slow([])
            shard.loaded.set()
            made.append(weakref.ref(shard))
            return shard

        owner = Owner(make, 1.0, {}, lambda _name: None)
        owner.assign([TP])
        await turns()
        is_there = made[0]() is not None
        owner.assign([])
        await turns()
        gc.collect()
        return is_there, made[0]() is None

    assert asyncio.run(scenario()) == (True, True)


class Fed(Slow):
    """A live shard that takes whatever it is given."""

    stage = SimpleNamespace(name="calls")

    async def feed(self, _records: Fetched) -> None:
        self.log.append("is fed")


def test_what_live_shards_are_given_is_the_load() -> None:
    async def scenario() -> tuple[list[str], float]:
        log: list[str] = []
        shard: Any = Fed(log)
        owner = Owner(lambda _tp: shard, 1.0, {}, lambda _name: None)
        now = [0.0]
        owner.workload = Workload(lambda: now[0], lambda: 0.0)
        owner.shards[TP] = shard
        await owner.feed(TP, Fetched(range(5_000), 0))
        shard.live = True
        await owner.feed(TP, Fetched(range(3_000), 0))
        now[0] = 1.0
        return log, owner.workload.load().records

    assert asyncio.run(scenario()) == (["is fed"], 1_500.0)


class Looking(Slow):
    """A live shard whose client is closed while it looks at its topic."""

    async def verify(self) -> None:
        await self.loaded.wait()
        raise ConsumerStoppedError


@pytest.mark.parametrize("assigned", [[], [TP]], ids=["taken away", "still ours"])
def test_a_shard_let_go_of_while_it_looks_at_its_topic_ends_no_worker(
    assigned: list[TopicPartition],
) -> None:
    async def scenario() -> list[str]:
        log: list[str] = []
        shard: Any = Looking(log)
        shard.live = True
        owner = Owner(lambda _tp: Slow([]), 1.0, {}, lambda _name: None)  # type: ignore[arg-type,return-value]
        owner.shards[TP], owner.assigned = shard, {TP}
        looks = asyncio.create_task(owner.verify())
        await turns()
        if assigned:
            await owner.failed(TP, shard, RuntimeError("fenced"))
        else:
            owner.assign(assigned)
        shard.loaded.set()
        await looks
        await owner.close()
        return log

    assert asyncio.run(scenario()) == ["releases"]

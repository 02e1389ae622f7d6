"""What the driver relies on in Faust and aiokafka, private names included."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.driver import HOOKS, Chunk, GroupSettings, Waiting, _Consumer, _consumer_thread
from streams.fetched import Fetched
from streams.owner import Owner


@pytest.mark.parametrize("of", sorted(HOOKS))
def test_hooks_are_there(of: str) -> None:
    module, _, name = of.rpartition(".")
    owner = getattr(importlib.import_module(module), name)
    for hook in HOOKS[of]:
        assert hasattr(owner, hook) or hook in owner.__annotations__, hook


class Lying:
    """A consumed record, as far as a chunk reads it."""

    timestamp, timestamp_type = 0, 1

    def __init__(self, offset: int) -> None:
        self.offset = offset


CALLS, OTHERS = TopicPartition("calls", 0), TopicPartition("calls", 1)


def test_what_a_fetch_brings_of_a_topic_is_one_chunk() -> None:
    consumer = Delivering()
    of_agents = TopicPartition("agents", 1)
    consumer.fetched = {
        OTHERS: Fetched([Lying(5), Lying(6)], 4),
        of_agents: Fetched([Lying(2)], 2),
        CALLS: Fetched([Lying(9)], 9),
    }
    consumer.deliver()
    calls, agents = consumer.handed_on
    assert calls.value == {OTHERS: consumer.fetched[OTHERS], CALLS: consumer.fetched[CALLS]}
    assert (calls.topic, calls.partition, calls.offset) == ("calls", 1, 6)
    assert agents.value == {of_agents: consumer.fetched[of_agents]}
    assert consumer.waiting.chunks == {OTHERS: 1, CALLS: 1, of_agents: 1}


@pytest.mark.parametrize("stopping", [False, True])
def test_a_fetcher_that_is_cancelled_at_the_end_has_not_crashed(*, stopping: bool) -> None:
    async def deliver() -> int:
        raise asyncio.CancelledError

    consumer = SimpleNamespace(
        should_stop=False,
        consumer_stopped_errors=(),
        transport=SimpleNamespace(app=SimpleNamespace(should_stop=stopping)),
        _deliver=deliver,
    )
    of: Any = consumer
    draining = _Consumer._drain_messages(of, SimpleNamespace(should_stop=False))  # noqa: SLF001 - a hook
    if stopping:
        asyncio.run(draining)
    else:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(draining)


def test_a_topic_that_is_behind_has_no_room_until_its_agent_takes_a_chunk() -> None:
    waiting = Waiting()
    waiting.chunks.update({CALLS: Waiting.AT_MOST - 1, OTHERS: 1, TopicPartition("agents", 0): 1})
    assert waiting.full() == {"calls"}
    waiting.taken(OTHERS)
    assert not waiting.full()
    waiting.chunks.clear()
    waiting.taken(CALLS)  # of those that were thrown away
    assert not waiting.chunks[CALLS]


class Delivering:
    """A consumer with what it fetched, whose agents may be cancelled before they are given it."""

    flow_active = True

    def __init__(self) -> None:
        self.ends: dict[TopicPartition, int] = {}
        self.waiting = Waiting()
        self.fetched: dict[TopicPartition, Fetched] = {}
        self.handed_on: list[Chunk] = []
        self.is_cancelled = False

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109 - Faust's
        return self.fetched, None

    def _to_message(self, _tp: Any, chunk: Chunk) -> Chunk:
        return chunk

    async def callback(self, chunk: Chunk) -> None:
        """Where the agents are."""
        if self.is_cancelled:
            raise asyncio.CancelledError
        self.handed_on.append(chunk)

    def deliver(self) -> None:
        """Hand on what was fetched."""
        of: Any = self
        asyncio.run(_Consumer._deliver(of))  # noqa: SLF001 - a hook

    def has_dropped(self, tp: TopicPartition, following: int) -> bool:
        """As the driver's own."""
        of: Any = self
        return _Consumer.has_dropped(of, tp, following)


def test_a_fetch_that_was_dropped_is_told_from_one_that_waits() -> None:
    consumer = Delivering()
    consumer.fetched = {CALLS: Fetched([Lying(5)], 4), OTHERS: Fetched([Lying(9)], 9)}
    assert not consumer.has_dropped(CALLS, 4), "nothing was fetched"
    consumer.deliver()
    assert not consumer.has_dropped(CALLS, 4), "it waits"
    consumer.waiting.taken(CALLS)
    assert not consumer.has_dropped(CALLS, 6), "it was applied"
    assert consumer.has_dropped(CALLS, 4)


def test_a_fetch_that_was_not_even_handed_on_was_dropped() -> None:
    consumer = Delivering()
    consumer.fetched = {CALLS: Fetched([Lying(5)], 4), OTHERS: Fetched([Lying(9)], 9)}
    consumer.is_cancelled = True
    with pytest.raises(asyncio.CancelledError):
        consumer.deliver()
    consumer.waiting.chunks.clear()  # a rebalance
    assert consumer.has_dropped(CALLS, 4)
    assert consumer.has_dropped(OTHERS, 9)


class Standing:
    """A consumer that says what stands still, and the parts of Faust around it."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self.moved: dict[TopicPartition, int] = {}
        self.told: set[TP] = set()
        self._read_offset: dict[TP, int] = {}

    def pause(self, *places: TopicPartition) -> None:
        self.paused.update(places)

    def resume(self, *places: TopicPartition) -> None:
        self.paused.difference_update(places)

    def seek(self, place: TP, offset: int) -> None:
        self.moved[TopicPartition(*place)] = offset

    async def position(self, place: TP) -> int:
        return self.moved[TopicPartition(*place)]

    async def threadsafe_partitions_assigned(
        self, _loop: object, assigned: set[TP], _generation: int
    ) -> None:
        self.told = assigned


async def at_once(work: Callable[..., Awaitable[None]], *given: Any) -> None:
    await work(*given)


def test_a_partition_stands_still_from_its_assignment_to_its_seek() -> None:
    group = GroupSettings("floor", "localhost:9092", 6.0, None, {})
    standing = Standing()
    app = SimpleNamespace(conf=SimpleNamespace(broker_request_timeout=5.0))
    owner = Owner(lambda _tp: pytest.fail("nothing is taken"), 1.0, {}, print)
    thread: Any = object.__new__(_consumer_thread(group, owner))
    thread.__dict__.update(consumer=standing, _consumer=standing, app=app, thread_loop=None)
    thread.log, thread.call_thread = SimpleNamespace(dev=lambda *_: None), at_once
    places = {TP("calls", 0), TP("calls", 1)}

    async def work() -> None:
        await thread.on_partitions_assigned(places, 1)
        assert standing.told == places
        assert standing.paused == {TopicPartition("calls", 0), TopicPartition("calls", 1)}
        await thread.seek_wait({TP("calls", 1): 7})

    asyncio.run(work())
    assert standing.paused == {TopicPartition("calls", 0)}
    assert standing.moved == {TopicPartition("calls", 1): 7}

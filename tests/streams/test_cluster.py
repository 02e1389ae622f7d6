"""What a worker says of the cluster after each look."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.cluster import Cluster
from tests.streams.installation import TimelessLoop

Look = set[str] | Exception
BOTH = {"calls", "agents"}


class Scripted:
    """A broker and its consumer; `opened` and `closed` count connections."""

    def __init__(self, looks: list[Look]) -> None:
        self.looks = looks
        self.opened = self.closed = 0

    def consumer(self) -> "Scripted":
        self.opened += 1
        return self

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.closed += 1

    async def topics(self) -> Collection[str]:
        if not self.looks:
            raise asyncio.CancelledError
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


def told(
    broker: Scripted, returned: Callable[[], None] = lambda: None
) -> list[tuple[bool, list[str]]]:
    """After each look: whether it was silent, and what is gone."""
    heard: list[tuple[bool, list[str]]] = []

    def tell(silent_seconds: float, gone: Collection[str]) -> None:
        heard.append((silent_seconds > 0, list(gone)))

    cluster = Cluster(cast("Any", broker), sorted(BOTH), tell)
    cluster.returned = returned
    loop = TimelessLoop()
    try:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(cluster.look_loop())
    finally:
        loop.close()
    return heard


def test_a_topic_is_gone_when_it_was_missed_twice(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[Look] = [BOTH, {"agents"}, BOTH, {"agents"}, {"agents"}, {"agents"}, BOTH]
    gone = [list[str](), [], [], [], ["calls"], ["calls"], []]
    assert told(Scripted(looks)) == [(False, names) for names in gone]
    assert caplog.text.count("topic calls is not there") == 1


def test_after_a_look_without_an_answer_it_connects_anew() -> None:
    broker = Scripted([BOTH, KafkaConnectionError(), TimeoutError(), BOTH, BOTH])
    assert [is_silent for is_silent, _ in told(broker)] == [False, True, True, False, False]
    assert (broker.opened, broker.closed) == (3, 3)


def test_a_broker_is_back_with_its_second_answer() -> None:
    broker = Scripted([BOTH, BOTH, KafkaConnectionError(), BOTH, BOTH, BOTH, BOTH])
    left: list[int] = []
    told(broker, returned=lambda: left.append(len(broker.looks)))
    assert left == [2]

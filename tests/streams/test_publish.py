"""How long the publisher rests after a pass."""

import asyncio
import time
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from streams.publish import Publisher, Ticks
from tests.streams.test_board import board


class Owned(Struct):
    """An owner of one board, which catches up until so many looks were taken."""

    stage: Any
    looks: float = 0
    source: Any = SimpleNamespace(partition=0)

    def live(self) -> list[Any]:
        return [self]

    def is_catching_up(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


@pytest.mark.parametrize(
    ("behind", "reading", "spent", "rest"),
    [
        (False, 0.001, 0.01, 0.04),  # until the next pass is due
        (False, 0.1, 0.3, 0.4),  # a third of the time is for views and their sinks
        (True, 0.002, 0.3, 0.398),  # a hundredth, while a shard catches up
        (False, 0.01, 2.0, 0.04),  # a sink that hangs: views are back soon after it is
        (True, 2.0, 2.0, 1.0),
    ],
)
def test_a_pass_is_followed_by_a_rest(
    behind: bool,  # noqa: FBT001 - a case
    reading: float,
    spent: float,
    rest: float,
) -> None:
    owner: Any = Owned(board(), inf if behind else 0)
    publisher = Publisher(owner, [], Ticks(0.05, 0.5), lambda _seconds: None)
    assert publisher.rest_seconds(spent, reading) == rest


def test_a_rest_ends_when_all_is_counted() -> None:
    owner: Any = Owned(board(), 2)
    publisher = Publisher(owner, [], Ticks(0.05, 0.5), lambda _seconds: None)

    async def work() -> float:
        began = time.monotonic()
        await publisher._rest(0.3, 0.01)  # noqa: SLF001 - a second, if it stayed behind
        return time.monotonic() - began

    assert 0.2 <= asyncio.run(work()) < 0.9

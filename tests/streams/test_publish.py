"""How long the publisher rests after a pass."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from streams.owner import now_ms
from streams.publish import Publisher, Ticks
from tests.streams.test_board import board

HOUR_MS = 3_600_000


class Owned(Struct):
    """An owner of one board."""

    stage: Any
    source: Any = SimpleNamespace(partition=0)

    def live(self) -> list[Any]:
        return [self]


@pytest.mark.parametrize(
    ("history", "reading", "spent", "rest"),
    [
        (False, 0.001, 0.01, 0.04),  # until the next pass is due
        (False, 0.1, 0.3, 0.4),  # a third of the time is for views and their sinks
        (True, 0.002, 0.3, 0.198),  # a fiftieth, while hours ago are read
        (False, 0.01, 2.0, 0.04),  # a sink that hangs: views are back soon after it is
        (True, 2.0, 2.0, 1.0),
    ],
)
def test_a_pass_is_followed_by_a_rest(
    history: bool,  # noqa: FBT001 - a case
    reading: float,
    spent: float,
    rest: float,
) -> None:
    one = board()
    one.history_until_ms = now_ms() + HOUR_MS if history else 0
    owner: Any = Owned(one)
    publisher = Publisher(owner, [], Ticks(0.05, 0.5), lambda _seconds: None)
    assert publisher.rest_seconds(spent, reading) == rest

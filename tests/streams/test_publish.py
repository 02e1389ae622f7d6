"""How long the publisher rests after a tick."""

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
    ("history", "spent", "rest"),
    [
        (False, 0.01, 0.04),  # until the next tick is due
        (False, 0.1, 0.2),  # a third of the time is for views
        (True, 0.1, 0.9),  # a tenth, while hours ago are read
        (False, 2.0, 1.0),  # a sink that hangs: views are back soon after it is
        (True, 2.0, 1.0),
    ],
)
def test_a_tick_is_followed_by_a_rest(history: bool, spent: float, rest: float) -> None:  # noqa: FBT001 - a case
    one = board()
    one.history_until_ms = now_ms() + HOUR_MS if history else 0
    owner: Any = Owned(one)
    publisher = Publisher(owner, [], Ticks(0.05, 0.5), lambda _seconds: None)
    assert publisher.rest_seconds(spent) == rest

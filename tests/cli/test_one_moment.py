"""All board shards at one moment: asked again where one was too late for it."""

import asyncio
from collections.abc import Mapping

import pytest

from cc_stream.cli import drain
from cc_stream.config import Settings, load_settings
from cc_stream.topics import Topics, topics


class Boards:
    """Two shards; the second one passes the first moments before it hears of them."""

    def __init__(self, late: int) -> None:
        self.late = late
        self.asked: list[int] = []

    async def ask(self, _settings: Settings, _wanted: Topics, as_of_ms: int) -> None:
        self.asked.append(as_of_ms)

    async def as_of(self) -> Mapping[int, int]:
        moment_ms = self.asked[-1]
        return {0: moment_ms, 1: moment_ms + (len(self.asked) <= self.late)}


@pytest.mark.parametrize("late", [0, 1, drain.TICKS - 1])
def test_asked_until_every_shard_is_in_time(monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    boards = Boards(late)
    monkeypatch.setattr(drain, "ask_for_tick", boards.ask)
    work = drain.show_one_moment(load_settings(), topics("t", board=2), boards.as_of, 1)
    assert asyncio.run(work) == boards.asked[-1]
    assert len(boards.asked) == late + 1


def test_shards_that_are_always_late_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = Boards(drain.TICKS)
    monkeypatch.setattr(drain, "ask_for_tick", boards.ask)
    work = drain.show_one_moment(load_settings(), topics("t", board=2), boards.as_of, 1)
    with pytest.raises(drain.NotDrainedError, match="late for"):
        asyncio.run(work)

"""A library that repeats itself."""

import logging
from types import SimpleNamespace

import pytest

from streams import seldom
from streams.seldom import APART_SECONDS, KEPT, Seldom


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(seldom, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def is_logged(to: Seldom, message: str, *args: object) -> bool:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, message, args, None)
    return bool(to.filter(record))


def test_the_same_line_is_logged_once_in_ten_seconds(clock: Clock) -> None:
    to = Seldom()
    assert is_logged(to, "node %s", 1)
    assert is_logged(to, "node %s", 2)
    assert not is_logged(to, "node %s", 1)
    clock.now += APART_SECONDS
    assert is_logged(to, "node %s", 1)
    assert not is_logged(to, "node %s", 1)


@pytest.mark.usefixtures("clock")
def test_what_is_remembered_stays_small() -> None:
    to = Seldom()
    assert sum(is_logged(to, "offset %s", number) for number in range(10 * KEPT)) == 10 * KEPT
    assert len(to._said) <= KEPT  # noqa: SLF001 - what is to stay small

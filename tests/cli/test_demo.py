"""`cc-stream demo`: when the screen is shown."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cc_stream.cli import run
from cc_stream.cli.demo_floor import Plan
from cc_stream.cli.demo_servers import Addresses


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """The plans of floors that were to be run; nothing is started."""
    made: list[Plan] = []

    def floor(plan: Plan, *_: object) -> int:
        made.append(plan)
        return 0

    @contextmanager
    def workers(*_: object) -> Iterator[list[object]]:
        yield []

    servers = Addresses("127.0.0.1:1", "redis://127.0.0.1:1/0", is_shared=False)
    monkeypatch.setattr("cc_stream.cli.demo._servers", lambda *_: servers)
    monkeypatch.setattr("cc_stream.cli.demo._make_topics", lambda *_: None)
    monkeypatch.setattr("cc_stream.cli.options.export", lambda *_: None)
    monkeypatch.setattr("cc_stream.cli.demo_servers.workers", workers)
    monkeypatch.setattr("cc_stream.cli.demo_floor.floor", floor)
    monkeypatch.setenv("CC_SETTINGS", "")
    monkeypatch.chdir(tmp_path)
    return made


def test_the_screen_needs_a_terminal(plans: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["demo"]) == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["demo"]) == 0
    assert run(["demo", "--no-screen"]) == 0
    assert [plan.screen for plan in plans] == [False, True, False]

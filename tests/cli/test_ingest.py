"""`cc-stream ingest`: what it hands to the reading of the file."""

from pathlib import Path

import pytest

from cc_stream.cli import WRONG_USE, run
from cc_stream.ingest import Feed, Ingested

KEY = "a key of callers, long enough"


@pytest.fixture
def feeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Feed]:
    """What was handed over; nothing is read and no broker is needed."""
    handed: list[Feed] = []

    async def ingest(feed: Feed, **_: object) -> Ingested:
        handed.append(feed)
        return Ingested()

    monkeypatch.setattr("cc_stream.ingest.ingest", ingest)
    monkeypatch.setenv("CC_SETTINGS", "")
    monkeypatch.delenv("CC_CALLER_HASH_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue_log").touch()
    return handed


def test_the_key_of_callers_reaches_the_source(
    feeds: list[Feed], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ingest", "asterisk-queue-log", "queue_log"]
    assert run(command) == 0
    monkeypatch.setenv("CC_CALLER_HASH_KEY", KEY)
    assert run([*command, "--source-id", "/pbx/2", "--tenant", "acme"]) == 0
    without, with_key = (feed.options for feed in feeds)
    assert without.caller_hash_key == b""
    assert with_key.caller_hash_key == KEY.encode()
    assert (with_key.source, with_key.tenant) == ("/pbx/2", "acme")
    assert KEY not in "".join(capsys.readouterr())


def test_a_short_key_is_refused_unseen(
    feeds: list[Feed], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC_CALLER_HASH_KEY", "tooshort")
    assert run(["ingest", "asterisk-queue-log", "queue_log"]) == WRONG_USE
    shown = capsys.readouterr().err
    assert "caller_hash_key" in shown
    assert "tooshort" not in shown
    assert not feeds

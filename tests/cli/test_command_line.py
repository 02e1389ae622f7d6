"""The command line as a user meets it: help, mistakes, exit codes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from cc_stream.cli import FAILED, INTERRUPTED, WRONG_USE, app, run

COMMANDS = ("demo", "worker", "ingest", "simulate", "report", "topics", "board", "doctor")
GROUPS = {"dead-letters": ("list", "show", "replay")}
NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a file of this machine decides a test."""
    monkeypatch.setenv("CC_SETTINGS", "")
    monkeypatch.chdir(tmp_path)


def test_all_commands_are_there() -> None:
    assert tuple(command.name for command in app.registered_commands) == COMMANDS
    groups = [group.typer_instance for group in app.registered_groups]
    assert [group.info.name for group in groups if group is not None] == list(GROUPS)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*COMMANDS, *GROUPS))


@pytest.mark.parametrize(
    "name",
    [*COMMANDS, *GROUPS, *(f"{group} {name}" for group, names in GROUPS.items() for name in names)],
)
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Examples" in shown
    assert f"cc-stream {name}" in shown.partition("Examples")[2]


WRONG = [
    (["fly"], "No such command 'fly'"),
    (["topics", "--chek"], "No such option: --chek"),
    (["demo", "--seats", "many"], "Invalid value for '--seats'"),
    (["demo", "--seats", "0"], "seats must be 1 to"),
    (["demo", "--broker", "x"], "setting broker = 'x'"),
    (["topics", "--set", "flush=1"], "--set flush: unknown setting"),
    (["topics", "--set", "flush_seconds"], "--set flush_seconds: expected NAME=VALUE"),
    (["topics", "--set", "flush_seconds=soon"], "setting flush_seconds = 'soon'"),
    (["topics", "--set", "max_age_hours={voice:1}"], "--set max_age_hours: is not JSON"),
    (["topics", "--settings", "none.toml"], "CC_SETTINGS = 'none.toml': no such file"),
    (["worker", "--timezone", "Mars/Olympus"], "setting timezone = 'Mars/Olympus'"),
    (["worker", "--metrics-port", "99999"], "setting metrics_port"),
    (["worker", "--redis", "http://x"], "setting redis"),
    (["ingest", "carrier-pigeon", "x"], "unknown source 'carrier-pigeon'"),
    (["ingest", "asterisk-queue-log", "none"], "none: no such file"),
    (["simulate"], "either --kafka or --ndjson"),
    (["simulate", "--kafka", "--ndjson", "-"], "either --kafka or --ndjson"),
    (["simulate", "--ndjson", "-", "--realtime"], "--realtime needs --kafka"),
    (["simulate", "--ndjson", "-", "--from", "soon"], "time 'soon': expected"),
    (["simulate", "--ndjson", "-", "--from", "now"], "--to must be after --from"),
    (["simulate", "--ndjson", "-", "--disorder", "2"], "disorder must be 0 to 1"),
    (["simulate", "--ndjson", "-", "--seats", "0"], "seats must be 1 to"),
    (["report"], "either SOURCE FILE... or --topic"),
    (["report", "events"], "no file is named"),
    (["report", "crystal-ball", "x"], "SOURCE crystal-ball"),
    (["report", "events", "x", "--by", "planet"], "--by planet"),
    (["report", "events", "x", "--format", "xml"], "--format xml"),
    (["report", "events", "x", "--tz", "Mars/Olympus"], "Mars/Olympus"),
    (["dead-letters", "burn"], "No such command 'burn'"),
    (["dead-letters", "show"], "Missing argument 'KEY'"),
    (["dead-letters", "replay"], "give either KEY... or --reason or --since"),
    (["dead-letters", "replay", "x", "--reason", "late"], "give either KEY... or --reason"),
    (["dead-letters", "replay", "--reason", "bored"], "--reason bored: expected one of tombstone"),
    (["dead-letters", "list", "--since", "soon"], "time 'soon': expected"),
    (["dead-letters", "list", "--format", "xml"], "--format xml: expected one of table, json"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_clear_line(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == WRONG_USE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("cc-stream: ")
    assert told.err.count("\n") == 1
    assert text in told.err


def test_a_password_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "--redis", "http://user:hunter2@x"]) == WRONG_USE
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics", "--check", "--broker", NOBODY],
        ["topics", "--create", "--broker", NOBODY],
        ["simulate", "--kafka", "--broker", NOBODY],
        ["report", "--topic", "--broker", NOBODY],
        ["dead-letters", "list", "--broker", NOBODY],
        ["dead-letters", "show", "x", "--broker", NOBODY],
        ["dead-letters", "replay", "x", "--broker", NOBODY],
        ["board", "--once", "--redis", f"redis://{NOBODY}"],
    ],
    ids=lambda arguments: arguments[0] + arguments[1],
)
def test_a_server_that_is_away_is_one_clear_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == FAILED
    told = capsys.readouterr().err
    assert told.startswith("cc-stream: ")
    assert told.count("\n") == 1
    assert NOBODY.partition(":")[0] in told


def test_doctor_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--broker", NOBODY, "--redis", f"redis://{NOBODY}/0"]) == FAILED
    told = capsys.readouterr().out
    assert "ok   Python" in told
    assert "BAD  Kafka: does not answer" in told
    assert "BAD  Redis: does not answer" in told
    assert told.count("→") == told.count("BAD")


def test_ctrl_c_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_main: object) -> None:
        _main.close()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    assert run(["board"]) == INTERRUPTED
    assert capsys.readouterr().err == ""


def test_simulated_events_can_be_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "hour.ndjson")
    span = ["--from", "2026-03-02T09:00:00Z", "--to", "2026-03-02T10:00:00Z"]
    assert run(["simulate", "--ndjson", path, "--seats", "10", *span]) == 0
    capsys.readouterr()
    assert run(["report", "events", path, "--by", "team", "--format", "json"]) == 0
    teams = orjson.loads(capsys.readouterr().out)
    assert {team["id"] for team in teams} >= {"north", "south", "west"}
    assert all(team["metrics"]["handled"] > 0 for team in teams)


def test_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cc_stream.cli", "topics", "--broker", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    assert done.stderr.startswith("cc-stream: setting broker = 'nowhere'")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cc_stream.cli", "simulate", "--ndjson", "-", "--from", "-1h"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert orjson.loads(program.stdout.readline())["specversion"] == "1.0"
        program.stdout.close()
        assert b"Traceback" not in program.stderr.read()


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("aiokafka", "pydantic", "redis", "prometheus_client", "cc_stream.simulate")
    code = f"import sys, cc_stream.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"

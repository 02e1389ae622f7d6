"""A queue_log through the whole line: the boards say what was computed by hand, and the report."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cc_stream.installation import limits_of
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.report.command import ask_of, report_files, report_topics
from cc_stream.report.lines import Ask
from cc_stream.report.periods import PERIODS
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.view import KINDS
from tests.broker.floor import Floor, open_floor

SOURCE = "asterisk-queue-log"
EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "asterisk_queue_log"
BEGAN_AGO_SECONDS = 30 * 60
"""The log is told as if it had begun so long ago: all of it lies in the last hour."""


@pytest.fixture
def floor(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> Iterator[Floor]:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as opened:
        yield opened


@pytest.fixture
def recent(tmp_path: Path) -> Path:
    """The example with its times moved, in whole seconds and nothing else."""
    lines = (EXAMPLE / "queue_log.log").read_text().splitlines(keepends=True)
    times = [int(line.partition("|")[0]) for line in lines]
    assert all(later >= earlier for earlier, later in pairwise(times))
    by = wall_clock_ms() // 1000 - BEGAN_AGO_SECONDS - times[0]
    path = tmp_path / "queue_log"
    path.write_text(
        "".join(f"{int(time) + by}|{rest}" for time, _, rest in (x.partition("|") for x in lines))
    )
    return path


def command(floor: Floor, *arguments: str) -> str:
    """What `cc-stream` prints."""
    servers = ["--broker", floor.settings.broker, "--topic-prefix", floor.settings.topic_prefix]
    line = [sys.executable, "-m", "cc_stream.cli", *arguments, *servers]
    return subprocess.run(line, check=True, capture_output=True, text=True, timeout=60).stdout


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows of a report, without what tells a file from a topic."""
    return [{name: row[name] for name in row if name != "lateness"} for row in json.loads(text)]


def of_topic(floor: Floor, ask: Ask) -> list[dict[str, Any]]:
    out, settings = StringIO(), floor.settings
    limits = limits_of(settings)
    asyncio.run(report_topics(settings.broker, floor.topics, limits, ask, "json", out, StringIO()))
    return rows_of(out.getvalue())


def of_file(path: Path, ask: Ask) -> list[dict[str, Any]]:
    out = StringIO()
    report_files(SOURCE, [path], ask, "json", out, StringIO())
    return rows_of(out.getvalue())


def expected(kind: str) -> dict[str, dict[str, Any]]:
    rows = [json.loads(row) for row in (EXAMPLE / "expected.ndjson").read_text().splitlines()]
    return {row["id"]: row["metrics"] for row in rows if row["kind"] == kind}


def only(metrics: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    return {name: metrics[name] for name in names}


def test_a_queue_log_through_the_line(floor: Floor, recent: Path) -> None:
    floor.worker()
    floor.wait_owned()
    command(floor, "ingest", SOURCE, str(recent))
    compared = floor.compared()
    assert compared.is_proof, compared.text()

    for kind in KINDS:
        for window in PERIODS:
            ask = ask_of(by=kind, window=window)
            rows = of_topic(floor, ask)
            assert rows == of_file(recent, ask)
            assert rows or kind == "campaign"
    of_both = [
        rows_of(command(floor, "report", *source, "--format", "json"))
        for source in (["--topic"], [SOURCE, str(recent)])
    ]
    assert of_both[0] == of_both[1]
    assert {row["id"] for row in of_both[0]} == expected("queue").keys()

    for queue, metrics in expected("queue").items():
        live = floor.metrics("queue", queue, "live")
        assert only(floor.metrics("queue", queue, "60m") | live, metrics) == metrics
    for agent, metrics in expected("agent").items():
        assert only(floor.metrics("agent", agent, "60m"), metrics) == metrics

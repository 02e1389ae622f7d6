"""What the README tells a reader to do, done: its Python on the real broker, and its report."""

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cc_stream.admit import Limits
from cc_stream.contact_record import contact_record
from cc_stream.local.kafka import KafkaServer
from cc_stream.report.collect import Collected
from cc_stream.report.topic import collect_topics
from cc_stream.topics import provision, topics

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
RUN_SECONDS = 60


def block(pattern: str) -> str:
    """The one fenced block that begins so."""
    (found,) = re.findall(rf"^```\w*\n({pattern}.*?)^```", README, re.DOTALL | re.MULTILINE)
    return str(found)


def test_ones_own_events_count(kafka: KafkaServer, unique_name: str) -> None:
    program = block("import asyncio")
    for shown, own in (("127.0.0.1:9092", kafka.bootstrap), ("cc.calls", f"{unique_name}.calls")):
        assert program.count(shown) == 1
        program = program.replace(shown, own)
    names = topics(unique_name)

    async def prepared() -> None:
        await provision(kafka.bootstrap, names)

    async def collected() -> Collected:
        return await collect_topics(kafka.bootstrap, names, Limits())

    asyncio.run(prepared())
    for _ in range(2):  # every run is a call of its own
        subprocess.run([sys.executable, "-c", program], check=True, timeout=RUN_SECONDS)
    found = asyncio.run(collected())
    assert not found.refused
    assert len(found.contacts) == 2
    for (tenant, contact_id), contact in found.contacts:
        record = contact_record(tenant, contact_id, contact)
        (segment,) = record.segments
        assert segment.queue == "hotline"
        assert (segment.agent, segment.team) == ("ann", "north")
        assert (segment.wait_seconds, segment.talk_seconds) == (15.0, 70.0)
        assert (record.converted, record.value_minor) == (True, 4900)


def test_the_report_is_the_one_that_is_shown() -> None:
    shown = block(r"\$ cc-stream report")
    command, _, table = shown.removeprefix("$ cc-stream ").partition("\n")
    done = subprocess.run(
        [sys.executable, "-m", "cc_stream.cli", *shlex.split(command)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]  # a page has no blanks at its ends
    assert table.splitlines() == lines


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^(?:\$ )?(cc-stream [^\n#]+)", README, re.MULTILINE)))
)
def test_every_command_and_option_exists(line: str) -> None:
    """Each shown command line has a command of ours, and options that its help names."""
    name, *options = shlex.split(line)[1:]
    done = subprocess.run(
        [sys.executable, "-m", "cc_stream.cli", name, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    for option in options:
        if option.startswith("--"):
            assert option in done.stdout

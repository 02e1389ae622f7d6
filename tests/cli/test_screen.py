"""The live screen as text: everything that the issue asks for is on it, at every size."""

import io
import re
from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from rich.console import Console

from cc_stream.cli.big_digits import HEIGHT, big
from cc_stream.cli.floor_data import (
    AgentLine,
    AlertLine,
    FloorData,
    Flow,
    QueueLine,
    TeamLine,
)
from cc_stream.cli.screen import clock, draw, percent

NOW_MS = 1_780_000_000_000  # 2026-05-28 20:26:40 UTC
QUEUE = QueueLine(
    name="sales",
    waiting_now=5,
    oldest_queued_at_ms=NOW_MS - 137_000,
    service_level_15m=0.52,
    service_level_today=0.83,
    offered=812,
    answered=770,
    abandoned=41,
    agents_available=3,
)
FLOOR = FloorData(
    title="demo, 200 seats",
    as_of_ms=NOW_MS - 200,
    data_as_of_ms=NOW_MS - 300,
    floor=replace(QUEUE, name="all queues", answered=12_803),
    queues=(
        QUEUE,
        QueueLine(name="service", waiting_now=2, oldest_queued_at_ms=NOW_MS - 7_000),
        QueueLine(name="billing"),
        QueueLine(name="retention"),
    ),
    teams=(
        TeamLine(
            name="north",
            agents={"available": 12, "on_contact": 30, "wrapup": 3, "break": 4, "offline": 9},
            handled=640,
            handle_time_mean_seconds=312.4,
            occupancy=0.87,
            conversion=0.21,
        ),
        TeamLine(name="south"),
        TeamLine(name="west"),
    ),
    agents=tuple(
        AgentLine(
            rank=rank, name=f"Ada Nr{rank}", team="north", conversion=0.5, converted=6, eligible=12
        )
        for rank in range(1, 21)
    ),
    unranked=7,
    alerts=(
        AlertLine(
            subject="sales",
            text="longest wait 2:17",
            raised_at_ms=NOW_MS - 70_000,
            severity="critical",
        ),
    ),
    flow=Flow(
        events_per_second=1234.4,
        delay_p50_seconds=0.071,
        delay_p99_seconds=1.8,
        lag_records=0,
        dead_letters=3,
    ),
    addresses=(
        ("Kafka", "127.0.0.1:9092"),
        ("Redis", "redis://127.0.0.1:6379/0"),
        ("metrics", "http://127.0.0.1:9464/metrics"),
    ),
)


def shown(data: FloorData, now_ms: int = NOW_MS, width: int = 100, height: int = 30) -> list[str]:
    """The screen's lines."""
    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as capture:
        console.print(draw(data, now_ms))
    return capture.get().splitlines()


def cells(lines: Sequence[str], first: str) -> list[str]:
    """The row that begins with a text, as cells."""
    line = next(line for line in lines if line.startswith(first))
    return re.split(r"\s{2,}", line.strip())


def test_queues() -> None:
    lines = shown(FLOOR)
    assert cells(lines, "queue") == [
        "queue", "waiting", "longest", "SL 15 min", "SL today", "offered", "answered",
        "abandoned", "available",
    ]  # fmt: skip
    assert cells(lines, "sales") == [
        "sales", "5", "2:17", "52 %", "83 %", "812", "770", "41 (5 %)", "3"
    ]  # fmt: skip
    assert cells(lines, "billing") == ["billing", "0", "–", "–", "–", "0", "0", "0 (–)", "–"]


def test_teams() -> None:
    lines = shown(FLOOR)
    assert cells(lines, "north") == ["north", "12", "33", "4", "640", "5:12", "87 %", "21 %"]
    assert cells(lines, "west") == ["west", "0", "0", "0", "0", "–", "–", "–"]


def test_agents_alerts_flow_and_addresses() -> None:
    lines = shown(FLOOR)
    assert re.search(r"^ 1 +Ada Nr1 +north +50 % +6/12 +1:10 +sales longest wait 2:17", lines[21])
    assert lines[-2].strip() == (
        "1,234 events/s · event to board 71 ms median · 1.8 s p99 · 0 behind · 3 dead letters"
    )
    assert lines[-1].split() == [
        "Kafka", "127.0.0.1:9092", "Redis", "redis://127.0.0.1:6379/0",
        "metrics", "http://127.0.0.1:9464/metrics",
    ]  # fmt: skip


def test_the_longest_wait_ticks_by_the_clock_alone() -> None:
    waits = [cells(shown(FLOOR, NOW_MS + ms), "sales")[2] for ms in (0, 1_000, 60_000)]
    assert waits == ["2:17", "2:18", "3:17"]
    assert [cells(shown(FLOOR, NOW_MS + 1_000), "service")[2]] == ["0:08"]


def test_the_age_is_told_and_never_looks_calm() -> None:
    assert "● live, 0.2 s old" in shown(FLOOR)[0]
    assert "STALE for 0:10" in shown(FLOOR, NOW_MS + 10_000)[0]
    silent = replace(FLOOR, data_as_of_ms=NOW_MS - 75_000)
    assert "no event for 1:15" in shown(silent)[0]
    assert "no figures yet" in shown(FloorData())[0]


def test_the_clock_is_the_floors() -> None:
    assert "20:26:40 UTC" in shown(FLOOR)[0]
    assert "22:26:40 Europe/Berlin" in shown(replace(FLOOR, timezone="Europe/Berlin"))[0]


@pytest.mark.parametrize(("width", "height"), [(100, 30), (120, 40), (200, 60)])
def test_it_fits(width: int, height: int) -> None:
    lines = shown(FLOOR, width=width, height=height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in (*(q.name for q in FLOOR.queues), "north", "south", "west", "Ada Nr7", "events/s"):
        assert part in text
    assert "…" not in "\n".join(lines[: -len(FLOOR.agents)])


def test_an_empty_floor_is_drawn() -> None:
    text = "\n".join(shown(FloorData(note="Redis: away")))
    for part in ("no queue yet", "no team yet", "nobody yet", "none", "Redis: away"):
        assert part in text


def colours(data: FloorData, text: str) -> str:
    """The escape sequences before a text."""
    console = Console(
        file=io.StringIO(), width=100, height=30, color_system="standard", force_terminal=True
    )
    with console.capture() as capture:
        console.print(draw(data, NOW_MS))
    found = re.search(rf"\x1b\[([\d;]+)m *{re.escape(text)}", capture.get())
    assert found is not None
    return found[1]


def test_colours_say_good_fair_and_bad() -> None:
    assert colours(FLOOR, "2:17") == "1;37;41"
    assert colours(FLOOR, "52 %") == "1;37;41"
    assert colours(FLOOR, "83 %") == "1;32"
    assert colours(FLOOR, "0:07") == "1;32"


def test_durations_and_ratios() -> None:
    assert [clock(s) for s in (0, 7.9, 125, 3725, -3)] == [
        "0:00",
        "0:07",
        "2:05",
        "1:02:05",
        "0:00",
    ]
    assert [percent(r) for r in (None, 0, 0.995, 0.999, 1)] == ["–", "0 %", "99 %", "99 %", "100 %"]


def test_big_digits_are_of_one_height_and_width() -> None:
    for text in ("0123456789", "12:34", "81%", "–"):
        lines = big(text).split("\n")
        assert len(lines) == HEIGHT
        assert len({len(line) for line in lines}) == 1

"""The live terminal screen: draws `FloorData`, asks nobody. Fits 100 × 30 and anything larger.

What ticks (the longest wait, the age of the figures) is computed from timestamps and the clock that
the caller gives, so the screen moves although nothing is written.
"""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cc_stream.cli.big_digits import big
from cc_stream.cli.floor_data import (
    SILENT_AFTER_MS,
    STALE_AFTER_MS,
    AlertLine,
    FloorData,
    QueueLine,
    TeamLine,
)

GOOD: Final = "bold green"
FAIR: Final = "bold yellow"
BAD: Final = "bold white on red"
QUIET: Final = "dim"
NONE: Final = "–"

SERVICE_LEVELS: Final = (0.8, 0.6)
"""At least the first is good, below the second is bad."""
WAITS_SECONDS: Final = (20, 120)
OCCUPANCY_HIGH: Final = 0.85
"""Sustained above this, people burn out (METRICS section 4)."""
ABANDON_RATES: Final = (0.03, 0.05)

_TABLE_FRAME: Final = 3
_FOOTER_ROWS: Final = 2
_HEADER_ROWS: Final = 6
_LEAST_BOTTOM: Final = 6


def draw(data: FloorData, now_ms: int) -> RenderableType:
    """The whole screen at a moment (milliseconds UTC)."""
    layout = Layout()
    queues, teams = max(1, len(data.queues)), max(1, len(data.teams))
    layout.split_column(
        Layout(Group(_head(data, now_ms), _figures(data, now_ms)), size=_HEADER_ROWS),
        Layout(_queues(data, now_ms), size=queues + _TABLE_FRAME),
        Layout(_teams(data), size=teams + _TABLE_FRAME),
        Layout(name="bottom", minimum_size=_LEAST_BOTTOM),
        Layout(_foot(data), size=_FOOTER_ROWS),
    )
    layout["bottom"].split_row(
        Layout(Padding(_agents(data), (0, 3, 0, 0)), ratio=1),
        Layout(_alerts(data, now_ms), ratio=1),
    )
    return layout


def clock(seconds: float) -> str:
    """A duration as people read it: `0:07`, `2:05`, `1:02:05`."""
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def percent(ratio: float | None) -> str:
    """A ratio in whole percent; a dash without a value. 99.6 % is not shown as 100."""
    if ratio is None:
        return NONE
    rounded = round(100 * ratio)
    if rounded == 100 and ratio < 1:  # noqa: PLR2004 - percent
        rounded = 99
    return f"{rounded} %"


def age(data: FloorData, now_ms: int) -> Text:
    """How old the figures are, loudly when they are stale or the floor is silent."""
    if data.as_of_ms is None:
        return Text(" no figures yet ", FAIR)
    old_ms = max(0, now_ms - data.as_of_ms)
    if old_ms > STALE_AFTER_MS:
        return Text(f" STALE for {clock(old_ms / 1000)} ", BAD)
    silent_ms = 0 if data.data_as_of_ms is None else now_ms - data.data_as_of_ms
    if silent_ms > SILENT_AFTER_MS:
        return Text(f" no event for {clock(silent_ms / 1000)} ", BAD)
    return Text(f"● live, {old_ms / 1000:.1f} s old", GOOD)


def _head(data: FloorData, now_ms: int) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1, no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(data.timezone))
    left = Text.assemble(("cc_stream ", "bold"), (data.title, "bold cyan"))
    if data.note:
        left.append(f"  {data.note}", FAIR)
    right = Text.assemble(age(data, now_ms), (f"  {moment:%H:%M:%S} {data.timezone}", "bold"))
    line.add_row(left, right)
    return line


def _figures(data: FloorData, now_ms: int) -> RenderableType:
    """The whole floor in figures three rows high."""
    floor = data.floor
    wait = _wait_seconds(floor, now_ms)
    available = NONE if floor.agents_available is None else str(floor.agents_available)
    shown = (
        ("waiting now", str(floor.waiting_now), _by_wait(wait)),
        ("longest wait", NONE if wait is None else clock(wait), _by_wait(wait)),
        (
            "SL, 15 min",
            percent(floor.service_level_15m).replace(" ", ""),
            _by_level(floor.service_level_15m),
        ),
        ("agents available", available, "bold"),
        ("answered today", str(floor.answered), "bold"),
    )
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in shown:
        grid.add_column(justify="center", ratio=1, no_wrap=True)
    grid.add_row(*(Text(big(value), _without_ground(style)) for _, value, style in shown))
    grid.add_row(*(Text(caption, QUIET) for caption, _, _ in shown))
    return grid


def _queues(data: FloorData, now_ms: int) -> Table:
    level = "SL 15 min", "SL today"
    table = _table(
        "queue", "waiting", "longest", *level, "offered", "answered", "abandoned", "available"
    )
    for line in data.queues:
        wait = _wait_seconds(line, now_ms)
        lost = line.abandoned / line.offered if line.offered else None
        table.add_row(
            Text(line.name, "bold"),
            Text(str(line.waiting_now), _by_wait(wait) if line.waiting_now else QUIET),
            Text(NONE if wait is None else clock(wait), _by_wait(wait)),
            Text(percent(line.service_level_15m), _by_level(line.service_level_15m)),
            Text(percent(line.service_level_today), _by_level(line.service_level_today)),
            str(line.offered),
            str(line.answered),
            Text(f"{line.abandoned} ({percent(lost)})", _by_rate(lost)),
            NONE if line.agents_available is None else str(line.agents_available),
        )
    return table if data.queues else _empty(table, "no queue yet")


def _teams(data: FloorData) -> Table:
    table = _table(
        "team", "ready", "busy", "paused", "handled", "handle time", "occupancy", "conversion"
    )
    for line in data.teams:
        ready, busy, paused = states(line)
        mean = line.handle_time_mean_seconds
        high = line.occupancy is not None and line.occupancy > OCCUPANCY_HIGH
        table.add_row(
            Text(line.name, "bold"),
            Text(str(ready), GOOD if ready else QUIET),
            str(busy),
            Text(str(paused), QUIET),
            str(line.handled),
            NONE if mean is None else clock(mean),
            Text(percent(line.occupancy), FAIR if high else "bold"),
            Text(percent(line.conversion), "bold" if line.conversion is not None else QUIET),
        )
    return table if data.teams else _empty(table, "no team yet")


def states(line: TeamLine) -> tuple[int, int, int]:
    """A team's agents who are ready, busy with a contact, and logged in but paused."""
    ready = line.agents.get("available", 0)
    busy = sum(line.agents.get(state, 0) for state in ("ringing", "on_contact", "wrapup"))
    staffed = sum(line.agents.values()) - line.agents.get("offline", 0)
    return ready, busy, staffed - ready - busy


def _agents(data: FloorData) -> Table:
    table = _table(" #", "top agents", "team", "conv.", "sales", numbers_from=3)
    table.columns[1].ratio = 1
    for line in data.agents:
        table.add_row(
            f"{line.rank:2d}",
            Text(line.name, "bold"),
            Text(line.team, QUIET),
            Text(percent(line.conversion), GOOD),
            f"{line.converted}/{line.eligible}",
        )
    if not data.agents:
        return _empty(table, "nobody yet", column=1)
    if data.unranked:
        table.add_row("", Text(f"{data.unranked} not ranked yet", QUIET), "", "", "")
    return table


def _alerts(data: FloorData, now_ms: int) -> Table:
    table = _table("for", "alerts", numbers_from=9)
    table.columns[1].ratio = 1
    table.columns[1].no_wrap = False
    for alert in data.alerts:
        since = clock((now_ms - alert.raised_at_ms) / 1000)
        table.add_row(since, Text.assemble((alert.subject, _of_alert(alert)), f" {alert.text}"))
    return table if data.alerts else _empty(table, "none", column=1)


def _foot(data: FloorData) -> RenderableType:
    flow = data.flow
    rate = NONE if flow.events_per_second is None else f"{flow.events_per_second:,.0f}"
    parts = [f"{rate} events/s", f"event to board {_delay(flow.delay_p50_seconds)} median"]
    parts.append(f"{_delay(flow.delay_p99_seconds)} p99")
    if flow.lag_records is not None:
        parts.append(f"{flow.lag_records:,} behind")
    parts.append(f"{flow.dead_letters:,} dead letters")
    where = "   ".join(f"{name} {address}" for name, address in data.addresses)
    line = Text(" · ".join(parts), "bold", no_wrap=True, overflow="ellipsis")
    return Group(line, Text(where, QUIET, no_wrap=True, overflow="ellipsis"))


def _delay(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _wait_seconds(line: QueueLine, now_ms: int) -> float | None:
    """The longest wait by the clock: it grows although nothing is written."""
    if line.oldest_queued_at_ms is None:
        return None
    return max(0, now_ms - line.oldest_queued_at_ms) / 1000


def _by_wait(seconds: float | None) -> str:
    if seconds is None:
        return QUIET
    good, bad = WAITS_SECONDS
    return GOOD if seconds <= good else FAIR if seconds <= bad else BAD


def _by_level(ratio: float | None) -> str:
    if ratio is None:
        return QUIET
    good, bad = SERVICE_LEVELS
    return GOOD if ratio >= good else FAIR if ratio >= bad else BAD


def _by_rate(ratio: float | None) -> str:
    good, bad = ABANDON_RATES
    if ratio is None or ratio <= good:
        return ""
    return FAIR if ratio <= bad else BAD


def _of_alert(alert: AlertLine) -> str:
    return BAD if alert.severity == "critical" else FAIR


def _without_ground(style: str) -> str:
    """Block characters are the ground themselves."""
    return "bold red" if style == BAD else style


def _table(*names: str, numbers_from: int = 1) -> Table:
    table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, header_style=QUIET, show_edge=False)
    for number, name in enumerate(names):
        justify = "right" if number >= numbers_from else "left"
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return table


def _empty(table: Table, text: str, column: int = 0) -> Table:
    table.add_row(*("" for _ in range(column)), Text(text, QUIET))
    return table

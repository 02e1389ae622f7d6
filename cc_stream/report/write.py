"""A report as JSON, CSV or a table."""

import csv
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cc_stream.events import EPOCH, to_rfc3339
from cc_stream.metrics import READINGS
from cc_stream.metrics.metric import Value
from cc_stream.report.lines import Line, Report
from cc_stream.report.periods import ALL

Column = tuple[str, str]
"""(what it holds, its heading)."""

FORMATS: Final = ("table", "json", "csv")

_WIDE: Final = 240
_UNBOUND: Final = 100_000
_LEAST_NAME: Final = 7
"""A longer name is folded where a terminal is very narrow."""
_SHARES: Final = {"service_level", "conversion", "occupancy"}
_CONTACTS: Final = (
    ("offered", "offered"),
    ("answered", "answered"),
    ("abandoned", "abandoned"),
    ("service_level", "service\nlevel"),
    ("queue_wait_mean_seconds", "mean\nwait"),
    ("queue_wait_max_seconds", "longest\nwait"),
    ("handled", "handled"),
    ("handle_time_mean_seconds", "handle\ntime"),
    ("conversion", "conversion"),
    ("value_minor", "value"),
)
_PEOPLE: Final = (
    ("answered", "answered"),
    ("handled", "handled"),
    ("handle_time_mean_seconds", "handle\ntime"),
    ("transferred_out", "passed\non"),
    ("conversion", "conversion"),
    ("value_minor", "value"),
    ("occupancy", "occupancy"),
    ("login_seconds", "logged\nin"),
    ("pause_seconds", "paused"),
)
_SPARED: Final = (
    "value_minor",
    "queue_wait_max_seconds",
    "transferred_out",
    "pause_seconds",
    "login_seconds",
    "handled",
    "conversion",
    "handle_time_mean_seconds",
    "queue_wait_mean_seconds",
    "occupancy",
)
"""What a narrow terminal does without, first to last; the rest are always shown."""
_COLUMNS: Final[dict[str, Sequence[Column]]] = {
    "queue": _CONTACTS,
    "campaign": _CONTACTS,
    "floor": (*_CONTACTS, ("occupancy", "occupancy")),
    "team": _PEOPLE,
    "agent": _PEOPLE,
}


def lateness_of(report: Report) -> str:
    """How late an event could be and still count: `none` where everything was admitted."""
    return "none" if report.lateness_ms is None else f"{report.lateness_ms / 1000:g}s"


def write_json(report: Report, out: TextIO) -> None:
    """One array; each line an object of its own, UTC times in RFC 3339."""
    separator = "[\n"
    for line in report.lines:
        out.write(separator + orjson.dumps(_document(report, line)).decode())
        separator = ",\n"
    out.write("[]\n" if not report.lines else "\n]\n")


def _document(report: Report, line: Line) -> dict[str, Any]:
    entity = line.entity
    team = {"team": entity.team} if entity.team is not None else {}
    return {
        "kind": entity.kind,
        "id": entity.id,
        **team,
        "tenant": entity.tenant,
        "window": {
            "start": to_rfc3339(line.window.start_ms),
            "end": to_rfc3339(line.window.end_ms),
        },
        "as_of": to_rfc3339(report.as_of_ms),
        "attribution": report.ask.attribution,
        "lateness": lateness_of(report),
        "metrics": line.metrics,
    }


def write_csv(report: Report, out: TextIO) -> None:
    """One row a line; a metric with names inside is a column `metric.name` for each."""
    columns = _metric_columns(report)
    head = ["kind", "id", "team", "tenant", "window_start", "window_end"]
    head += ["as_of", "attribution", "lateness"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head, *(name if key is None else f"{name}.{key}" for name, key in columns)])
    for line in report.lines:
        document = _document(report, line)
        window = document.pop("window")
        document |= {"window_start": window["start"], "window_end": window["end"]}
        cells = [_cell(line.metrics.get(name), key) for name, key in columns]
        writer.writerow([*(document.get(name, "") for name in head), *cells])


def _metric_columns(report: Report) -> list[tuple[str, str | None]]:
    """(metric, name inside or None), in the order of the metrics."""
    columns: list[tuple[str, str | None]] = []
    for name in dict.fromkeys(reading.name for reading in READINGS):
        values = [line.metrics[name] for line in report.lines if name in line.metrics]
        keys = {key for value in values if isinstance(value, dict) for key in value}
        if keys:
            columns += [(name, key) for key in sorted(keys)]
        elif any(not isinstance(value, dict) for value in values):
            columns.append((name, None))
    return columns


def _cell(value: Value, key: str | None) -> Value:
    """Empty for no value; a name that another line has and this one does not is a count of 0."""
    if isinstance(value, dict):
        value = value.get(key, 0) if key is not None else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def write_table(report: Report, out: TextIO, width: int | None = None) -> None:
    """The figures that matter most, for a person; times in the report's zone.

    `width` in characters; without it the terminal's, or as wide as the table elsewhere. Columns
    that do not fit are left out, which is said below.
    """
    console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)
    if width is None and not console.is_terminal:
        console.width = _WIDE
    table, missing = fitting(
        console, _COLUMNS[report.ask.by], _SPARED, lambda columns: _table(report, columns)
    )
    console.print(_title(report), soft_wrap=True)
    console.print(table)
    if missing:
        console.print(f"no room for {', '.join(missing)} (--format csv has all)", soft_wrap=True)
    for text in _notes(report):
        console.print(text, soft_wrap=True)


def fitting(
    console: Console,
    columns: Sequence[Column],
    spared: Sequence[str],
    table_of: Callable[[Sequence[Column]], Table],
) -> tuple[Table, list[str]]:
    """A table that is not wider than the console, and the headings that had no room.

    `spared` names columns in the order in which they go; the others are always shown.
    """
    left = list(columns)
    table = table_of(left)
    unbound = console.options.update(width=_UNBOUND)
    for name in spared:
        if console.measure(table, options=unbound).maximum <= console.width:
            break
        left = [column for column in left if column[0] != name]
        table = table_of(left)
    return table, [
        heading.replace("\n", " ") for name, heading in columns if (name, heading) not in left
    ]


def _table(report: Report, columns: Sequence[Column]) -> Table:
    has_windows = report.ask.window != ALL
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(report.ask.by, overflow="fold", min_width=_LEAST_NAME)
    if has_windows:
        table.add_column("window", no_wrap=True)
    for _, heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for line in report.lines:
        cells = [_shown(name, line.metrics.get(name)) for name, _ in columns]
        window = [_window(line, report)] if has_windows else []
        table.add_row(_name(line), *window, *cells)
    return table


def _title(report: Report) -> str:
    ask = report.ask
    window: str = ask.window
    if window == ALL and report.lines:
        window = _window(report.lines[0], report)
    return f"{ask.by} · {window} · {ask.timezone} · as of {_local(report.as_of_ms, ask.timezone)}"


def _name(line: Line) -> str:
    entity = line.entity
    return f"{entity.id} ({entity.team})" if entity.team else entity.id


def _window(line: Line, report: Report) -> str:
    zone = report.ask.timezone
    start, end = _local(line.window.start_ms, zone), _local(line.window.end_ms, zone)
    if start[:10] != end[:10]:
        return f"{start} - {end}"
    return f"{start} - {end[11:]}"


def _local(ms: int, zone: str) -> str:
    moment = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")


def _shown(name: str, value: Value) -> str:
    if value is None:
        return "–"
    if name in _SHARES and isinstance(value, float | int):
        return f"{value * 100:.1f} %"
    if name.endswith("_seconds") and isinstance(value, float | int):
        return f"{value:.1f} s" if name.endswith("mean_seconds") else f"{value:.0f} s"
    return str(value)


def _notes(report: Report) -> list[str]:
    """How the figures were made, and what was not counted."""
    notes = [f"attribution {report.ask.attribution}, lateness {lateness_of(report)}"]
    by_terms: dict[str, dict[str, None]] = {}
    for line in report.lines:
        m = line.metrics
        if "service_level_formula" in m:
            t, s = m["service_level_seconds"], m["short_abandon_seconds"]
            terms = f"{m['service_level_formula']}, T {t} s, S {s} s"
            by_terms.setdefault(terms, {})[line.entity.id] = None
    notes += [f"service level {terms}: {', '.join(names)}" for terms, names in by_terms.items()]
    if report.refused:
        rules = ", ".join(f"{rule} {n}" for rule, n in sorted(report.refused.items()))
        notes.append(f"not counted: {rules}")
    return notes

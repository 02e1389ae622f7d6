"""`cc-stream report` but for its command line: check options, show progress, write the report."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cc_stream.admit import Limits
from cc_stream.errors import ConfigError
from cc_stream.events import DEFAULT_TENANT, to_ms
from cc_stream.reference import DEFAULT_TERMS, Terms
from cc_stream.report.collect import FILE_LIMITS, Collected
from cc_stream.report.files import SOURCE_NAMES, collect_files
from cc_stream.report.lines import Ask, Report, report
from cc_stream.report.periods import PERIODS
from cc_stream.report.topic import collect_topics
from cc_stream.report.write import FORMATS, write_csv, write_json, write_table
from cc_stream.topics import Topics
from cc_stream.view import KINDS

ATTRIBUTIONS: Final = ("event", "start")
_WRITERS: Final = {"table": write_table, "json": write_json, "csv": write_csv}
MAX_SECONDS: Final = 86_400


def ask_of(
    *,
    by: str = "queue",
    window: str = "all",
    timezone: str = "UTC",
    attribution: str = "event",
    as_of: str | None = None,
    service_level_seconds: int | None = None,
    short_abandon_seconds: int | None = None,
    terms: Terms = DEFAULT_TERMS,
) -> Ask:
    """What a command line asks for. `as_of` is RFC 3339 with an offset.

    Raises:
        ConfigError: one option has a value that is not allowed; the text names both.
    """
    _one_of("--by", by, KINDS)
    _one_of("--window", window, PERIODS)
    _one_of("--attribution", attribution, ATTRIBUTIONS)
    _zone(timezone)
    _whole_seconds("--service-level-seconds", service_level_seconds)
    _whole_seconds("--short-abandon-seconds", short_abandon_seconds)
    return Ask(
        by=by,  # type: ignore[arg-type]  # checked above
        window=window,  # type: ignore[arg-type]
        timezone=timezone,
        attribution=attribution,  # type: ignore[arg-type]
        as_of_ms=None if as_of is None else _moment(as_of),
        service_level_seconds=service_level_seconds,
        short_abandon_seconds=short_abandon_seconds,
        terms=terms,
    )


def report_files(
    source: str,
    paths: Sequence[Path],
    ask: Ask,
    output: str,
    out: TextIO,
    errors: TextIO,
    tenant: str = DEFAULT_TENANT,
    limits: Limits = FILE_LIMITS,
) -> None:
    """Write the report of files to `out`; progress and what was not counted go to `errors`.

    `source` is one of `SOURCE_NAMES`, `output` one of `FORMATS`. Of `limits` the maximum ages
    count; a file admits every lateness.

    Raises:
        ConfigError: a wrong option, no file, or one that cannot be read.
    """
    _one_of("SOURCE", source, SOURCE_NAMES)
    _one_of("--format", output, FORMATS)
    if not paths:
        raise ConfigError("report: no file is named")
    with _progress(errors) as bar:
        task = bar.add_task("reading", total=sum(_size(path) for path in paths))
        collected = collect_files(
            source,
            paths,
            ask.as_of_ms,
            tenant,
            limits,
            lambda n: bar.update(task, advance=n),
        )
        made = _computed(collected, ask, bar)
    _write(made, output, out, errors)


async def report_topics(
    bootstrap: str,
    topics: Topics,
    limits: Limits,
    ask: Ask,
    output: str,
    out: TextIO,
    errors: TextIO,
    security: Mapping[str, Any] | None = None,
) -> None:
    """Write the report of what lies on Kafka, admitted with `limits` as the worker does.

    Raises:
        ConfigError: a wrong option.
        ReadError: the topics cannot be read.
    """
    _one_of("--format", output, FORMATS)
    with _progress(errors) as bar:
        task = bar.add_task("reading", total=None)
        collected = await collect_topics(
            bootstrap,
            topics,
            limits,
            security,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
        made = _computed(collected, ask, bar)
    _write(made, output, out, errors)


def _computed(collected: Collected, ask: Ask, bar: Progress) -> Report:
    task = bar.add_task("computing", total=None)
    return report(collected, ask, lambda done, total: bar.update(task, completed=done, total=total))


def _write(made: Report, output: str, out: TextIO, errors: TextIO) -> None:
    _WRITERS[output](made, out)
    if made.refused and output != "table":
        rules = ", ".join(f"{rule} {n}" for rule, n in sorted(made.refused.items()))
        errors.write(f"not counted: {rules}\n")


@contextmanager
def _progress(errors: TextIO) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere; it is gone before the report is written."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(file=errors)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield bar


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"{option} {value}: expected one of {', '.join(allowed)}")


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"--tz {name}: is no IANA time zone") from None


def _whole_seconds(option: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= MAX_SECONDS:
        raise ConfigError(f"{option} {value}: expected 0 to {MAX_SECONDS}")


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--as-of {text}: expected a time like 2026-11-22T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ConfigError(f"--as-of {text}: says no offset from UTC; end it with Z or +01:00")
    return to_ms(moment)

"""Files to decoded events: NDJSON of canonical events, or a vendor's own format."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from cc_stream.admit import Limits
from cc_stream.contracts import Decoded, decode_one
from cc_stream.errors import ConfigError
from cc_stream.events import DEFAULT_TENANT, Event, Refused
from cc_stream.report.collect import FILE_LIMITS, Collected, collect_events
from cc_stream.sources import SOURCES
from cc_stream.sources.source import AnySource, Options

EVENTS: Final = "events"
"""The source that is no vendor's: one canonical event a line."""
SOURCE_NAMES: Final = (EVENTS, *(source.name for source in SOURCES))
BATCH_LINES: Final = 2_000

Told = Callable[[int], None]
"""Is told how many bytes were read since the last call."""


def collect_files(
    source: str,
    paths: Sequence[Path],
    as_of_ms: int | None = None,
    tenant: str = DEFAULT_TENANT,
    limits: Limits = FILE_LIMITS,
    told: Told | None = None,
) -> Collected:
    """The logs of files. The lines of `events` may be in any order; other files are in order.

    A vendor's wrap-ups that are over by `as_of_ms` are closed. `tenant` is for vendors' formats,
    which name none.

    Raises:
        ConfigError: no such source, or a file that cannot be read.
    """
    events: list[Event] = []
    refused: list[Refused] = []
    for one in _decoded(source, paths, as_of_ms, tenant, told):
        if isinstance(one, Refused):
            refused.append(one)
        else:
            events.append(one)
    return collect_events(events, refused, limits)


def _decoded(
    source: str, paths: Sequence[Path], as_of_ms: int | None, tenant: str, told: Told | None
) -> Iterator[Decoded]:
    if source == EVENTS:
        return (decode_one(line)[0] for line in _lines(paths, told))
    return _vendor(_source(source), paths, as_of_ms, tenant, told)


def _source(name: str) -> AnySource:
    for source in SOURCES:
        if source.name == name:
            return source
    raise ConfigError(f"{name}: no such source; there are {', '.join(SOURCE_NAMES)}")


def _vendor(
    source: AnySource, paths: Sequence[Path], as_of_ms: int | None, tenant: str, told: Told | None
) -> Iterator[Decoded]:
    options = Options(source.default_source, tenant)
    state = source.start()
    batch: list[bytes] = []
    for line in _lines(paths, told):
        batch.append(line)
        if len(batch) == BATCH_LINES:
            folded = source.fold(state, batch, options)
            state, batch = folded.state, []
            yield from folded.events
            yield from (refusal.why for refusal in folded.refused)
    folded = source.fold(state, batch, options)
    yield from folded.events
    yield from (refusal.why for refusal in folded.refused)
    if as_of_ms is not None:
        yield from source.flush(folded.state, options, as_of_ms).events


def _lines(paths: Sequence[Path], told: Told | None) -> Iterator[bytes]:
    """All lines that are not blank, file after file; a byte-order mark is no content."""
    for path in paths:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file):
                    if told is not None:
                        told(len(line))
                    content = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
                    content = content.rstrip(b"\r\n")
                    if content.strip():
                        yield content
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from error

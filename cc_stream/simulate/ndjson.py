"""Arrivals as lines of a file: one canonical event per line, in the order of arrival."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from cc_stream.simulate.outbox import Arrival

REPORT_EVERY = 5_000


def _unheard(_events: int, _at_ms: int) -> None:
    """Nobody wants to know."""


def write_ndjson(
    arrivals: Iterable[Arrival],
    file: BinaryIO,
    progress: Callable[[int, int], None] = _unheard,
) -> int:
    """Write each value as one line and return their number.

    Keys and topics are not written. A bad payload stays on its line: line breaks within it become
    spaces. `progress` hears now and then of the lines so far and the arrival time reached (ms).
    """
    count = 0
    for arrival in arrivals:
        value = arrival.value
        if b"\n" in value or b"\r" in value:
            value = value.replace(b"\r", b" ").replace(b"\n", b" ")
        file.write(value)
        file.write(b"\n")
        count += 1
        if count % REPORT_EVERY == 0:
            progress(count, arrival.at_ms)
    return count

"""Too many contacts wait in a queue."""

from cc_stream.alerts.rule import (
    AlertLevels,
    Reading,
    Rule,
    at_least,
    duration_text,
    far_above,
    well_below,
)
from cc_stream.metrics import queue_staff
from cc_stream.metrics.metric import Figures, seconds
from cc_stream.metrics.waiting import longest_wait_ms, waiting_now

_AVAILABLE = {r.name: r.read for r in queue_staff.METRIC.readings}["agents_available"]


def _read(figures: Figures, _levels: AlertLevels) -> Reading:
    waiting = waiting_now(figures)
    numbers = {
        "waiting_now": waiting,
        "longest_wait_seconds": seconds(longest_wait_ms(figures)),
        "agents_available": _AVAILABLE(figures),
    }
    return Reading(waiting, numbers)


def _text(queue: str, reading: Reading, level: float) -> str:
    longest = reading.numbers["longest_wait_seconds"]
    suffix = "" if longest is None else f", the longest for {duration_text(longest)}"
    available = reading.numbers["agents_available"]
    return (
        f"{queue}: {reading.numbers['waiting_now']} waiting{suffix}; "
        f"{available} agents available (limit {level:g} waiting)"
    )


RULE = Rule(
    name="waiting_now",
    level=lambda levels: levels.waiting_now,
    read=_read,
    breaches=at_least,
    is_calm=well_below,
    is_critical=far_above,
    worse=max,
    text=_text,
    help="So many contacts wait, or more",
)

"""Someone has waited for too long in a queue. Fires by time alone, with no event arriving."""

from cc_stream.alerts.rule import (
    AlertLevels,
    Reading,
    Rule,
    at_least,
    duration_text,
    far_above,
    well_below,
)
from cc_stream.metrics.metric import Figures, moment
from cc_stream.metrics.waiting import longest_wait_ms, oldest, waiting_now


def _read(figures: Figures, _levels: AlertLevels) -> Reading:
    longest = (longest_wait_ms(figures) or 0) / 1000
    numbers = {
        "longest_wait_seconds": longest,
        "oldest_queued_at": moment(oldest(figures)),
        "waiting_now": waiting_now(figures),
    }
    return Reading(longest, numbers)


def _text(queue: str, reading: Reading, level: float) -> str:
    return (
        f"{queue}: longest wait {duration_text(reading.numbers['longest_wait_seconds'])}, "
        f"{reading.numbers['waiting_now']} waiting (limit {duration_text(level)})"
    )


RULE = Rule(
    name="longest_wait",
    level=lambda levels: levels.longest_wait_seconds,
    read=_read,
    breaches=at_least,
    is_calm=well_below,
    is_critical=far_above,
    worse=max,
    text=_text,
    help="The one who has waited longest has waited so long, or longer",
)

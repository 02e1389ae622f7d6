"""A queue's live service level over the last 15 minutes is too low.

The mirror of "80 % of the raise level" is taken on the misses: below x = 0.6 the misses are more
than 40 %; it clears when they are at most 80 % of that, 32 %, which is a service level of x and
20 % of the way from x to 1. Critical is a service level below half of x.
"""

from cc_stream.alerts.rule import (
    CLEAR_SHARE,
    CRITICAL_TIMES,
    AlertLevels,
    Reading,
    Rule,
)
from cc_stream.metrics.metric import Figures
from cc_stream.metrics.service_level import live_tally
from cc_stream.metrics.waiting import waiting_now


def _read(figures: Figures, levels: AlertLevels) -> Reading:
    hits, sample = live_tally(figures)
    value = hits / sample if sample and figures.is_current() else None
    numbers = {
        "service_level_live": value,
        "service_level_seconds": figures.terms.service_level_seconds,
        "sample": sample,
        "waiting_now": waiting_now(figures),
    }
    return Reading(value if sample >= levels.minimum_sample else None, numbers)


def _breaches(value: float, level: float) -> bool:
    return value < level


def _is_calm(value: float, level: float) -> bool:
    return value >= level + (1 - CLEAR_SHARE) * (1 - level)


def _is_critical(value: float, level: float, was_critical: bool) -> bool:  # noqa: FBT001
    limit = level / CRITICAL_TIMES
    return value < (limit + (1 - CLEAR_SHARE) * (level - limit) if was_critical else limit)


def _text(queue: str, reading: Reading, level: float) -> str:
    share = reading.numbers["service_level_live"]
    shown = "unknown" if share is None else f"{100 * share:.0f} %"
    return (
        f"{queue}: service level {shown} within {reading.numbers['service_level_seconds']} s over "
        f"15 min, {reading.numbers['waiting_now']} waiting "
        f"(limit {100 * level:g} %, of {reading.numbers['sample']} contacts)"
    )


RULE = Rule(
    name="service_level_live",
    level=lambda levels: levels.service_level_live,
    read=_read,
    breaches=_breaches,
    is_calm=_is_calm,
    is_critical=_is_critical,
    worse=min,
    text=_text,
    help="The live service level of 15 min is below, with enough contacts to say so",
)

"""What an alert rule is: one file with one `RULE`, and one line in `RULES`.

A rule reads the figures of a queue; the engine (`alerts.engine`) adds what all rules share: two
evaluations in a row, hysteresis, cool-down, severities, one name for one alert.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from cc_stream.metrics.metric import Figures

Severity = Literal["warning", "critical"]

ALERT_WINDOW: Final = "15m"
"""The window of the figures that rules are given."""
CLEAR_SHARE: Final = 0.8
"""An alert clears at this share of the level that raises it (of misses, for a service level)."""
CRITICAL_TIMES: Final = 2
"""So many times the raise level is critical."""


class AlertLevels(Struct, frozen=True):
    """At which levels a queue's alerts are raised; None turns the rule off for the queue."""

    waiting_now: int | None = 10
    longest_wait_seconds: float | None = 120.0
    service_level_live: float | None = 0.6
    minimum_sample: int = 20


DEFAULT_LEVELS: Final = AlertLevels()


class Reading(Struct, frozen=True):
    """What a rule sees: the value that is held against the level, and the numbers that explain it.

    `value` is None where there is nothing to judge (no contact, or too few).
    """

    value: float | None
    numbers: dict[str, Any]


class Rule(Struct, frozen=True):
    """One rule. The functions are pure; all that take (value, level) are asked with a value only.

    `is_critical` has a hysteresis of its own: `was_critical` is what the alert is now.
    """

    name: str
    level: Callable[[AlertLevels], float | None]
    read: Callable[[Figures, AlertLevels], Reading]
    breaches: Callable[[float, float], bool]
    is_calm: Callable[[float, float], bool]
    is_critical: Callable[[float, float, bool], bool]
    worse: Callable[[float, float], float]
    """The worse of two values."""
    text: Callable[[str, Reading, float], str]
    """One sentence for people from the queue's name, the reading and the level."""
    help: str


def levels_of(fields: Mapping[str, Any], default: AlertLevels = DEFAULT_LEVELS) -> AlertLevels:
    """The levels in a queue's settings: `{"alerts": {"waiting_now": 5, …}}`, names as the rules'.

    `null` turns a rule off; what is absent or of a wrong type or range is the default.
    """
    given = fields.get("alerts")
    if not isinstance(given, dict):
        return default
    values = {name: getattr(default, name) for name in AlertLevels.__struct_fields__}
    for name, is_valid in _VALID.items():
        if name in given and is_valid(given[name]):
            values[name] = given[name]
    return AlertLevels(**values)


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


_VALID: Final[dict[str, Callable[[Any], bool]]] = {
    "waiting_now": lambda v: v is None or (type(v) is int and v >= 1),
    "longest_wait_seconds": lambda v: v is None or (_is_number(v) and v > 0),
    "service_level_live": lambda v: v is None or (_is_number(v) and 0 <= v <= 1),
    "minimum_sample": lambda v: type(v) is int and v >= 1,
}


def at_least(value: float, level: float) -> bool:
    """Breach of a rule that warns of too much."""
    return value >= level


def well_below(value: float, level: float) -> bool:
    """Calm again, for a rule that warns of too much."""
    return value <= CLEAR_SHARE * level


def far_above(value: float, level: float, was_critical: bool) -> bool:  # noqa: FBT001
    """Critical at twice the level; no longer below 80 % of that."""
    limit = CRITICAL_TIMES * level
    return value > CLEAR_SHARE * limit if was_critical else value >= limit


def duration_text(seconds: float) -> str:
    """`47 s`, `3:05 min`, `1:02:09 h`."""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours}:{left:02d}:{rest:02d} h"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"

"""Service level: six formulas in use, one per queue by configuration (METRICS section 2).

Every formula is exact at any whole-second threshold, for it is read from the wait histograms.
"""

from collections.abc import Callable
from typing import Final

from cc_stream.metrics.answered import ANSWERED
from cc_stream.metrics.exits import abandoned
from cc_stream.metrics.metric import OF_QUEUES, Figures, Metric, Reading, ratio
from cc_stream.metrics.queue_wait import ABANDONED_WAITS, ANSWERED_WAITS
from cc_stream.metrics.waiting import WAITING, oldest_ms


class _Tally:
    """What the formulas are made of: a answered, b abandoned, `_t` within T, `_s` within S."""

    __slots__ = ("a", "a_t", "b", "b_s", "b_t")

    def __init__(self, figures: Figures) -> None:
        t, s = figures.terms.service_level_seconds, figures.terms.short_abandon_seconds
        answered, left = figures.ordered(ANSWERED_WAITS), figures.ordered(ABANDONED_WAITS)
        self.a = figures.count(ANSWERED)
        self.b = abandoned(figures)
        self.a_t, self.b_t, self.b_s = answered.upto(t), left.upto(t), left.upto(s)


FORMULAS: Final[dict[str, Callable[[_Tally], tuple[int, int]]]] = {
    "abandons_in_threshold_positive": lambda n: (n.a_t + n.b_t, n.a + n.b),
    "ignore_abandons": lambda n: (n.a_t, n.a),
    "abandons_negative": lambda n: (n.a_t, n.a + n.b),
    "abandons_in_threshold_ignored": lambda n: (n.a_t, n.a + n.b - n.b_t),
    "short_abandons_positive": lambda n: (n.a_t + n.b_s, n.a + n.b),
    "short_abandons_excluded": lambda n: (n.a_t, n.a + n.b - n.b_s),
}
"""Formula id → (numerator, denominator)."""


def _tally(figures: Figures) -> _Tally:
    known: _Tally | None = figures.window_memo.get(_Tally)
    if known is None:
        known = figures.window_memo[_Tally] = _Tally(figures)
    return known


def _level(figures: Figures) -> float | None:
    return ratio(*FORMULAS[figures.terms.service_level_formula](_tally(figures)))


def _levels(figures: Figures) -> dict[str, float | None]:
    tally = _tally(figures)
    return {name: ratio(*formula(tally)) for name, formula in FORMULAS.items()}


def live_tally(figures: Figures) -> tuple[int, int]:
    """Numerator and denominator with those who wait for longer than T now as misses."""
    hits, count = FORMULAS[figures.terms.service_level_formula](_tally(figures))
    limit = figures.as_of_ms - figures.terms.service_level_seconds * 1000
    return hits, count + figures.open_between(WAITING, oldest_ms(figures), limit)


def _live(figures: Figures) -> float | None:
    return ratio(*live_tally(figures)) if figures.is_current() else None


METRIC = Metric(
    slots=(),
    counts=(),
    readings=(
        Reading("service_level", OF_QUEUES, _level, "By the queue's formula"),
        Reading("service_level_live", OF_QUEUES, _live, "Those waiting beyond T are misses"),
        Reading("service_levels", OF_QUEUES, _levels, "All six formulas"),
        Reading(
            "service_level_formula",
            OF_QUEUES,
            lambda f: f.terms.service_level_formula,
            "The formula of service_level",
        ),
        Reading("service_level_seconds", OF_QUEUES, lambda f: f.terms.service_level_seconds, "T"),
        Reading("short_abandon_seconds", OF_QUEUES, lambda f: f.terms.short_abandon_seconds, "S"),
    ),
)

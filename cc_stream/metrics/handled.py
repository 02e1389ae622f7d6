"""Completed segments and their talk, hold, wrap-up and handle time (talk + hold + wrap).

All four count at completion, so means have matching numerators and denominators in every window.
"""

from collections.abc import Callable

from cc_stream.counts import Ordered, Slot, Vector, whole_seconds
from cc_stream.facts import Handled
from cc_stream.metrics.metric import (
    OF_ALL,
    ROWS,
    Count,
    Figures,
    Metric,
    Reading,
    mean_seconds,
    seconds,
    sum_of,
)

HANDLED = Slot(10, "handled")
TALK_MS = Slot(11, "talk_ms")
HOLD_MS = Slot(12, "hold_ms")
WRAP_MS = Slot(13, "wrap_ms")
HOLD_KNOWN = Slot(14, "hold_known")
HANDLE_TIMES = Slot(15, "handle_time_seconds")
_HANDLED, _TALK, _HOLD, _WRAP = HANDLED.key, TALK_MS.key, HOLD_MS.key, WRAP_MS.key
_KNOWN, _TIMES = HOLD_KNOWN.key, HANDLE_TIMES.key


def _handled(fact: Handled, vector: Vector) -> None:
    talk, hold, wrap = fact.talk_ms, fact.hold_ms, fact.wrap_ms
    vector[_HANDLED] = 1
    if talk:
        vector[_TALK] = talk
    if hold:
        vector[_HOLD] = hold
    if wrap:
        vector[_WRAP] = wrap
    if fact.hold_known:
        vector[_KNOWN] = 1
    vector[_TIMES | whole_seconds(talk + hold + wrap)] = 1


def _mean(slot: Slot) -> Callable[[Figures], float | None]:
    return lambda f: mean_seconds(f.count(slot), f.count(HANDLED))


def _handle_time_mean(figures: Figures) -> float | None:
    total_ms = figures.count(TALK_MS) + figures.count(HOLD_MS) + figures.count(WRAP_MS)
    return mean_seconds(total_ms, figures.count(HANDLED))


def _hold_known(figures: Figures) -> bool | None:
    handled = figures.count(HANDLED)
    return figures.count(HOLD_KNOWN) > 0 if handled else None


def handle_times(figures: Figures) -> Ordered:
    """Whole seconds → handled segments."""
    return figures.ordered(HANDLE_TIMES)


METRIC = Metric(
    slots=(HANDLED, TALK_MS, HOLD_MS, WRAP_MS, HOLD_KNOWN, HANDLE_TIMES),
    counts=(Count(Handled, ROWS, _handled),),
    readings=(
        Reading("handled", OF_ALL, sum_of(HANDLED), "Completed segments"),
        Reading("talk_total_seconds", OF_ALL, lambda f: seconds(f.count(TALK_MS)), "Sum of talk"),
        Reading("talk_mean_seconds", OF_ALL, _mean(TALK_MS), "Mean talk"),
        Reading("hold_mean_seconds", OF_ALL, _mean(HOLD_MS), "Mean hold"),
        Reading("hold_known", OF_ALL, _hold_known, "Whether the source tells hold at all"),
        Reading("wrap_mean_seconds", OF_ALL, _mean(WRAP_MS), "Mean wrap-up"),
        Reading(
            "handle_time_mean_seconds",
            OF_ALL,
            _handle_time_mean,
            "Mean handle time (AHT)",
        ),
        Reading(
            "handle_time_p50_seconds",
            OF_ALL,
            lambda f: handle_times(f).percentile(0.5),
            "Median handle time, whole seconds",
        ),
        Reading(
            "handle_time_p90_seconds",
            OF_ALL,
            lambda f: handle_times(f).percentile(0.9),
            "90th percentile handle time, whole seconds",
        ),
    ),
)

"""Queue wait: queued to answered, and queued to abandoned, as histograms of whole seconds.

Seconds are rounded up, so `wait <= T` is exact for whole T. The mean (ASA) and the percentiles are
over answered segments; the maximum is the highest bucket.
"""

from cc_stream.counts import Slot, Vector, whole_seconds
from cc_stream.facts import Answered, Left
from cc_stream.metrics.metric import (
    OF_QUEUES,
    QUEUES,
    Count,
    Figures,
    Metric,
    Reading,
    mean_seconds,
)

ANSWERED_MS = Slot(6, "wait_answered_ms")
ANSWERED_WAITS = Slot(7, "wait_answered_seconds")
ABANDONED_MS = Slot(8, "wait_abandoned_ms")
ABANDONED_WAITS = Slot(9, "wait_abandoned_seconds")
_SUM, _BUCKET = ANSWERED_MS.key, ANSWERED_WAITS.key


def _answered(fact: Answered, vector: Vector) -> None:
    wait_ms = fact.wait_ms
    if wait_ms is not None:
        vector[_BUCKET | whole_seconds(wait_ms)] = 1
        if wait_ms:
            vector[_SUM] = wait_ms


def _left(fact: Left, vector: Vector) -> None:
    wait_ms = fact.wait_ms
    if fact.reason == "abandoned" and wait_ms is not None:
        vector[ABANDONED_WAITS.key | whole_seconds(wait_ms)] = 1
        if wait_ms:
            vector[ABANDONED_MS.key] = wait_ms


def _mean(figures: Figures) -> float | None:
    return mean_seconds(figures.count(ANSWERED_MS), figures.ordered(ANSWERED_WAITS).count)


def _abandoned_mean(figures: Figures) -> float | None:
    return mean_seconds(figures.count(ABANDONED_MS), figures.ordered(ABANDONED_WAITS).count)


def _at(share: float, name: str, text: str) -> Reading:
    return Reading(name, OF_QUEUES, lambda f: f.ordered(ANSWERED_WAITS).percentile(share), text)


def _short(figures: Figures) -> int:
    return figures.ordered(ABANDONED_WAITS).upto(figures.terms.short_abandon_seconds)


METRIC = Metric(
    slots=(ANSWERED_MS, ANSWERED_WAITS, ABANDONED_MS, ABANDONED_WAITS),
    counts=(Count(Answered, QUEUES, _answered), Count(Left, QUEUES, _left)),
    readings=(
        Reading("short_abandoned", OF_QUEUES, _short, "Abandoned within the short-abandon limit"),
        Reading("queue_wait_mean_seconds", OF_QUEUES, _mean, "Mean wait of answered (ASA)"),
        _at(0.5, "queue_wait_p50_seconds", "Median wait of answered, whole seconds"),
        _at(0.9, "queue_wait_p90_seconds", "90th percentile wait of answered, whole seconds"),
        _at(0.95, "queue_wait_p95_seconds", "95th percentile wait of answered, whole seconds"),
        _at(1.0, "queue_wait_max_seconds", "Longest wait of answered, whole seconds"),
        Reading(
            "abandoned_wait_mean_seconds", OF_QUEUES, _abandoned_mean, "Mean wait of abandoned"
        ),
    ),
)

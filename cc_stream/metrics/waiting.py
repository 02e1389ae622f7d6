"""Who waits now. An entry older than the queue's maximum wait is stale: shown apart, not waited."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Open, Reported
from cc_stream.metrics.answered import ANSWERED
from cc_stream.metrics.metric import (
    LIVE_KEPT_MS,
    OF_QUEUES,
    QUEUES,
    Count,
    Figures,
    Metric,
    Reading,
    moment,
    seconds,
)

WAITING = Slot(40, "waiting_since")
REPORTED = Slot(46, "waiting_reported")
_KEY = WAITING.key


def _waiting(fact: Open, vector: Vector) -> None:
    if fact.state == "waiting":
        vector[_KEY | fact.since] = 1


def _reported(fact: Reported, vector: Vector) -> None:
    if fact.waiting:
        vector[REPORTED.key] = fact.waiting


def oldest_ms(figures: Figures) -> int:
    """Who has waited since before that is stale."""
    return figures.as_of_ms - figures.terms.max_wait_ms


def waiting_now(figures: Figures) -> int:
    """How many wait."""
    return figures.open_since(WAITING, oldest_ms(figures))


def oldest(figures: Figures) -> int | None:
    """When the one was queued who has waited longest; None when nobody waits."""
    return figures.live(WAITING).first_since(oldest_ms(figures))


def longest_wait_ms(figures: Figures) -> int | None:
    """How long that one has waited at `as_of`."""
    since = oldest(figures)
    return None if since is None else max(0, figures.as_of_ms - since)


def _stale(figures: Figures) -> int:
    return figures.open_since(WAITING, figures.as_of_ms - LIVE_KEPT_MS) - waiting_now(figures)


def _estimate(figures: Figures) -> float | None:
    """Queue length over the window's answer rate; the head's age when nobody was answered."""
    count = figures.count(ANSWERED)
    if not figures.is_current():
        return None
    if count:
        elapsed = min(figures.as_of_ms, figures.window.end_ms) - figures.window.start_ms
        return waiting_now(figures) * elapsed / count / 1000
    return seconds(longest_wait_ms(figures))


METRIC = Metric(
    slots=(WAITING, REPORTED),
    counts=(Count(Open, QUEUES, _waiting), Count(Reported, QUEUES, _reported)),
    readings=(
        Reading("waiting_now", OF_QUEUES, waiting_now, "Waiting in the queue", live=True),
        Reading(
            "longest_wait_seconds",
            OF_QUEUES,
            lambda f: seconds(longest_wait_ms(f)),
            "Wait so far of the one who has waited longest",
            live=True,
        ),
        Reading(
            "oldest_queued_at",
            OF_QUEUES,
            lambda f: moment(oldest(f)),
            "When that one was queued",
            live=True,
        ),
        Reading("stale", OF_QUEUES, _stale, "Waiting for longer than anyone can", live=True),
        Reading(
            "waiting_reported",
            OF_QUEUES,
            lambda f: f.live(REPORTED).count,
            "Waiting as the source itself says",
            live=True,
        ),
        Reading("estimated_wait_seconds", OF_QUEUES, _estimate, "For one who is queued now"),
    ),
)

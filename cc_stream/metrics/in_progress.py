"""Contacts with agents now: talking, on hold, in wrap-up; and what the feed left unexplained."""

from collections.abc import Callable
from typing import Final

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Lost, Open
from cc_stream.metrics.metric import (
    OF_ALL,
    OF_QUEUES,
    QUEUES,
    ROWS,
    Count,
    Figures,
    Metric,
    Reading,
    moment,
)
from cc_stream.metrics.waiting import WAITING

TALKING = Slot(41, "talking_since")
HOLDING = Slot(42, "holding_since")
WRAPPING = Slot(43, "wrapping_since")
WRAPPING_UNTIL = Slot(44, "wrapping_until")
LOST = Slot(45, "lost")
_KEYS: Final = {
    "talking": TALKING.key,
    "holding": HOLDING.key,
    "wrapping": WRAPPING.key,
    "wrapping_until": WRAPPING_UNTIL.key,
}


def _open(fact: Open, vector: Vector) -> None:
    key = _KEYS.get(fact.state)
    if key is not None:
        vector[key | fact.since] = 1


def _lost(_fact: Lost, vector: Vector) -> None:
    vector[LOST.key] = 1


def _oldest_ms(figures: Figures) -> int:
    """What has been open since before that is stale."""
    return figures.as_of_ms - figures.terms.contact_max_age_ms


def _in_progress(figures: Figures) -> int:
    return figures.open_since(TALKING, _oldest_ms(figures)) + _on_hold(figures)


def _on_hold(figures: Figures) -> int:
    return figures.open_since(HOLDING, _oldest_ms(figures))


def _oldest_hold(figures: Figures) -> int | None:
    return figures.live(HOLDING).first_since(_oldest_ms(figures))


def _longest_hold(figures: Figures) -> float | None:
    since = _oldest_hold(figures)
    return None if since is None else max(0, figures.as_of_ms - since) / 1000


def _in_wrapup(figures: Figures) -> int:
    open_ended = figures.open_since(WRAPPING, figures.as_of_ms - figures.terms.wrap_max_ms)
    return open_ended + figures.open_since(WRAPPING_UNTIL, figures.as_of_ms + 1)


def _wrapup_over(figures: Figures) -> int:
    oldest_ms = figures.as_of_ms - figures.terms.wrap_max_ms
    limit_ms = figures.as_of_ms - figures.terms.wrap_limit_ms
    return figures.open_between(WRAPPING, oldest_ms, limit_ms)


def _stale_closed(figures: Figures) -> int:
    """Open entries whose maximum age ended within the window, at the latest now."""
    age_ms = figures.terms.contact_max_age_ms
    first_ms = figures.window.start_ms - age_ms
    end_ms = min(figures.window.end_ms, figures.as_of_ms + 1) - age_ms
    slots = WAITING, TALKING, HOLDING
    return sum([figures.open_between(slot, first_ms, end_ms) for slot in slots])


def _live(name: str, read: Callable[[Figures], int | float | str | None], text: str) -> Reading:
    return Reading(name, OF_ALL, read, text, live=True)


METRIC = Metric(
    slots=(TALKING, HOLDING, WRAPPING, WRAPPING_UNTIL, LOST),
    counts=(Count(Open, ROWS, _open), Count(Lost, QUEUES, _lost)),
    readings=(
        _live("in_progress", _in_progress, "Contacts with an agent, talking or on hold"),
        _live("on_hold_now", _on_hold, "Contacts on hold"),
        _live("longest_hold_seconds", _longest_hold, "The longest hold so far"),
        _live("oldest_hold_at", lambda f: moment(_oldest_hold(f)), "When that hold began"),
        _live("in_wrapup_now", _in_wrapup, "Contacts in wrap-up"),
        _live("wrapup_over_limit_now", _wrapup_over, "In wrap-up for longer than the limit"),
        Reading(
            "unreconciled",
            OF_QUEUES,
            lambda f: f.live(LOST).count,
            "Offered − answered − left − waiting; 0 when the feed is whole",
            live=True,
        ),
        Reading(
            "stale_closed", OF_QUEUES, _stale_closed, "Closed by maximum age: the end never came"
        ),
    ),
)

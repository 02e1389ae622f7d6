"""How agents spend their time, by overlap with the window (METRICS section 4).

Closed states are sums of milliseconds by state; open ones are added when reading, as far as they
overlap the window up to `as_of`. Occupancy so never exceeds 1, also with three chats at once.
"""

from typing import Final

from cc_stream.counts import Slot, Vector
from cc_stream.events import AGENT_STATES
from cc_stream.facts import OpenState
from cc_stream.metrics.metric import (
    AGENTS,
    OF_TIME,
    Count,
    Figures,
    Metric,
    Reading,
    ratio,
    seconds,
)

STATE_MS = Slot(60, "state_ms", labels=AGENT_STATES)
OPEN_STATES: Final = tuple(
    Slot(61 + index, f"{state}_since") for index, state in enumerate(AGENT_STATES)
)
STATE_BUCKET: Final = {state: STATE_MS.key | i for i, state in enumerate(AGENT_STATES)}
_OPEN_KEY: Final = {state: OPEN_STATES[i].key for i, state in enumerate(AGENT_STATES)}
_BUSY: Final = ("on_contact", "wrapup")
_READY: Final = ("available", "ringing")
_PAUSED: Final = ("break", "training", "meeting", "other", "error")
STAFFED: Final = tuple(state for state in AGENT_STATES if state != "offline")


def _open(fact: OpenState, vector: Vector) -> None:
    vector[_OPEN_KEY[fact.state] | fact.since] = 1


def time_in(figures: Figures, states: tuple[str, ...]) -> int:
    """Milliseconds in these states within the window."""
    known: dict[str, int] | None = figures.window_memo.get(STATE_MS.name)
    if known is None:
        known = figures.window_memo[STATE_MS.name] = _times(figures)
    return sum(known[state] for state in states)


def _times(figures: Figures) -> dict[str, int]:
    """By state, the closed ones and as much of the open ones as lies in the window until now."""
    closed, age_ms = figures.buckets(STATE_MS), figures.terms.agent_max_age_ms
    start_ms = figures.window.start_ms
    end_ms = max(start_ms, min(figures.window.end_ms, figures.as_of_ms))
    return {
        state: closed.get(index, 0) + figures.live(slot).overlap(start_ms, end_ms, age_ms)
        for index, (state, slot) in enumerate(zip(AGENT_STATES, OPEN_STATES, strict=True))
    }


def agents_in(figures: Figures, states: tuple[str, ...]) -> int:
    """How many agents are in these states now; a state beyond its maximum age is over."""
    oldest = figures.as_of_ms - figures.terms.agent_max_age_ms
    slots = [OPEN_STATES[AGENT_STATES.index(state)] for state in states]
    return sum(figures.live(slot).since(oldest) for slot in slots)


def _by_state(figures: Figures) -> dict[str, int]:
    counts = {state: agents_in(figures, (state,)) for state in AGENT_STATES}
    return {state: n for state, n in counts.items() if n}


def _occupancy(figures: Figures) -> float | None:
    busy = time_in(figures, _BUSY)
    return ratio(busy, busy + time_in(figures, _READY))


def _utilisation(figures: Figures) -> float | None:
    return ratio(time_in(figures, _BUSY + _READY), time_in(figures, STAFFED))


METRIC = Metric(
    slots=(STATE_MS, *OPEN_STATES),
    counts=(Count(OpenState, AGENTS, _open),),
    readings=(
        Reading("agents_by_state", OF_TIME, _by_state, "Agents by state", live=True),
        Reading(
            "agents_available",
            OF_TIME,
            lambda f: agents_in(f, ("available",)),
            "Agents ready for a contact",
            live=True,
        ),
        Reading("agents_staffed", OF_TIME, lambda f: agents_in(f, STAFFED), "Logged in", live=True),
        Reading("occupancy", OF_TIME, _occupancy, "Busy over busy and ready time"),
        Reading("utilisation", OF_TIME, _utilisation, "Busy and ready over staffed time"),
        Reading(
            "login_seconds", OF_TIME, lambda f: seconds(time_in(f, STAFFED)), "All but offline"
        ),
        Reading(
            "pause_seconds", OF_TIME, lambda f: seconds(time_in(f, _PAUSED)), "Logged in, not ready"
        ),
        Reading(
            "wrap_seconds", OF_TIME, lambda f: seconds(time_in(f, ("wrapup",))), "State wrapup"
        ),
    ),
)

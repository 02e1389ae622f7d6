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
    return sum(_time_in(figures, AGENT_STATES.index(state)) for state in states)


def _time_in(figures: Figures, state: int) -> int:
    total = figures.buckets(STATE_MS).get(state, 0)
    for since, n in figures.live(OPEN_STATES[state]).items():
        until = min(figures.as_of_ms, since + figures.terms.agent_max_age_ms)
        total += n * figures.window.overlap_ms(since, until)
    return total


def agents_in(figures: Figures, states: tuple[str, ...]) -> int:
    """How many agents are in these states now; a state beyond its maximum age is over."""
    oldest = figures.as_of_ms - figures.terms.agent_max_age_ms
    slots = [OPEN_STATES[AGENT_STATES.index(state)] for state in states]
    return sum(n for slot in slots for since, n in figures.live(slot).items() if since >= oldest)


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

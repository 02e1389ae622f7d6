"""How agents spend their time, by overlap with the window (METRICS section 4).

Closed states are sums of milliseconds by state; open ones are added when reading, as far as they
overlap the window up to `as_of`. Occupancy so never exceeds 1, also with three chats at once.
"""

from collections.abc import Callable
from operator import itemgetter
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


def _pick(*states: str) -> Callable[[list[int]], tuple[int, ...]]:
    """Takes these states out of numbers by state; two at least."""
    return itemgetter(*map(AGENT_STATES.index, states))


_BUSY: Final = _pick("on_contact", "wrapup")
_READY: Final = _pick("available", "ringing")
_PAUSED: Final = _pick("break", "training", "meeting", "other", "error")
_STAFFED: Final = _pick(*(state for state in AGENT_STATES if state != "offline"))
_WRAPUP: Final = AGENT_STATES.index("wrapup")
_SLOTS: Final = tuple(enumerate(OPEN_STATES))


def _open(fact: OpenState, vector: Vector) -> None:
    vector[_OPEN_KEY[fact.state] | fact.since] = 1


def _times(figures: Figures) -> list[int]:
    """Milliseconds within the window by state, in the order of AGENT_STATES."""
    known: list[int] | None = figures.window_memo.get(STATE_MS.name)
    if known is None:
        known = figures.window_memo[STATE_MS.name] = _times_of(figures)
    return known


def _times_of(figures: Figures) -> list[int]:
    """The closed ones and as much of the open ones as lies in the window until now."""
    closed, age_ms = figures.buckets(STATE_MS), figures.terms.agent_max_age_ms
    start_ms = figures.window.start_ms
    end_ms = max(start_ms, min(figures.window.end_ms, figures.as_of_ms))
    times = [0] * len(AGENT_STATES)
    for index, ms in closed.items():
        times[index] = ms
    for index, slot in _open_states(figures):
        times[index] += figures.live(slot).overlap(start_ms, end_ms, age_ms)
    return times


def _open_states(figures: Figures) -> list[tuple[int, Slot]]:
    """Those in which anybody is: of an agent it is one."""
    known: list[tuple[int, Slot]] | None = figures.live_memo.get("open_states")
    if known is None:
        live = figures.live_parts
        known = figures.live_memo["open_states"] = [s for s in _SLOTS if s[1].number in live]
    return known


def _by_state(figures: Figures) -> dict[str, int]:
    """How many agents are in each state now; a state beyond its maximum age is over."""
    known: dict[str, int] | None = figures.live_memo.get(STATE_MS.name)
    if known is None:
        oldest = figures.as_of_ms - figures.terms.agent_max_age_ms
        known = figures.live_memo[STATE_MS.name] = {
            AGENT_STATES[index]: n
            for index, slot in _open_states(figures)
            if (n := figures.live(slot).since(oldest))
        }
    return known


def _available(figures: Figures) -> int:
    return _by_state(figures).get("available", 0)


def _staffed(figures: Figures) -> int:
    by_state = _by_state(figures)
    return sum(by_state.values()) - by_state.get("offline", 0)


def _occupancy(figures: Figures) -> float | None:
    times = _times(figures)
    busy = sum(_BUSY(times))
    return ratio(busy, busy + sum(_READY(times)))


def _utilisation(figures: Figures) -> float | None:
    times = _times(figures)
    return ratio(sum(_BUSY(times)) + sum(_READY(times)), sum(_STAFFED(times)))


METRIC = Metric(
    slots=(STATE_MS, *OPEN_STATES),
    counts=(Count(OpenState, AGENTS, _open),),
    readings=(
        Reading("agents_by_state", OF_TIME, _by_state, "Agents by state", live=True),
        Reading(
            "agents_available",
            OF_TIME,
            _available,
            "Agents ready for a contact",
            live=True,
        ),
        Reading("agents_staffed", OF_TIME, _staffed, "Logged in", live=True),
        Reading("occupancy", OF_TIME, _occupancy, "Busy over busy and ready time"),
        Reading("utilisation", OF_TIME, _utilisation, "Busy and ready over staffed time"),
        Reading(
            "login_seconds", OF_TIME, lambda f: seconds(sum(_STAFFED(_times(f)))), "All but offline"
        ),
        Reading(
            "pause_seconds",
            OF_TIME,
            lambda f: seconds(sum(_PAUSED(_times(f)))),
            "Logged in, not ready",
        ),
        Reading("wrap_seconds", OF_TIME, lambda f: seconds(_times(f)[_WRAPUP]), "State wrapup"),
    ),
)

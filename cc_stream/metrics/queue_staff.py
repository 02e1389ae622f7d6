"""Agents who serve a queue now. Does not add up: one agent may serve two queues."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import OpenState
from cc_stream.metrics.metric import Count, Figures, Metric, Reading

AVAILABLE = Slot(80, "queue_available_since", adds_up=False)
STAFFED = Slot(81, "queue_staffed_since", adds_up=False)
_QUEUE = frozenset({"queue"})


def _open(fact: OpenState, vector: Vector) -> None:
    if fact.state != "offline":
        vector[STAFFED.key | fact.since] = 1
    if fact.state == "available":
        vector[AVAILABLE.key | fact.since] = 1


def _now(figures: Figures, slot: Slot) -> int:
    oldest = figures.as_of_ms - figures.terms.agent_max_age_ms
    return figures.open_since(slot, oldest)


METRIC = Metric(
    slots=(AVAILABLE, STAFFED),
    counts=(Count(OpenState, _QUEUE, _open),),
    readings=(
        Reading(
            "agents_available", _QUEUE, lambda f: _now(f, AVAILABLE), "Ready for it", live=True
        ),
        Reading("agents_staffed", _QUEUE, lambda f: _now(f, STAFFED), "Logged in", live=True),
    ),
)

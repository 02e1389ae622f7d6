"""From facts to numbers: which rows a fact counts on, and what it is worth there.

Rows are (agent, team), queue and campaign. A team is the sum of its members' rows and the floor the
sum of its queues' rows (and of its agents' time), so neither is a row of its own here.
"""

from collections.abc import Iterator
from typing import Any, Final

from cc_stream.counts import Vector
from cc_stream.facts import (
    LIVE_FACTS,
    MOMENT_FACTS,
    Attribution,
    Fact,
    OpenState,
    StateTime,
)
from cc_stream.metrics import METRICS
from cc_stream.metrics.metric import ROWS

Row = tuple[str, ...]
"""`("queue", tenant, name)`, `("campaign", tenant, name)` or `("agent", tenant, id, team)`."""

LIVE: Final = -1
"""In place of a moment: what is open now and belongs to no window."""

_PLAN: Final = {
    fact: {
        kind: tuple(
            count.add
            for metric in METRICS
            for count in metric.counts
            if count.fact is fact and kind in count.rows
        )
        for kind in ROWS
    }
    for fact in (*MOMENT_FACTS, *LIVE_FACTS)
}
_IS_LIVE: Final = frozenset(LIVE_FACTS)


def _worth(fact: Fact, kind: str) -> Vector:
    vector: Vector = {}
    for add in _PLAN[type(fact)][kind]:
        add(fact, vector)
    return vector


def tally(
    fact: Any, tenant: str, attribution: Attribution = "event"
) -> Iterator[tuple[Row, int, Vector]]:
    """(row, moment in ms or LIVE, vector) of a fact; StateTime has none, it spreads over panes."""
    kind = type(fact)
    if kind is StateTime:
        return
    if kind in _IS_LIVE:
        moment = LIVE
    else:
        moment = fact.at if attribution == "event" else fact.start
    if kind is OpenState:
        yield ("agent", tenant, fact.agent, fact.team), moment, _worth(fact, "agent")
        for queue in fact.queues:
            yield ("queue", tenant, queue), moment, _worth(fact, "queue")
        return
    if fact.queue is not None:
        yield ("queue", tenant, fact.queue), moment, _worth(fact, "queue")
    if getattr(fact, "campaign", None) is not None:
        yield ("campaign", tenant, fact.campaign), moment, _worth(fact, "campaign")
    agent = getattr(fact, "agent", None)
    if agent is not None:
        yield ("agent", tenant, agent, fact.team), moment, _worth(fact, "agent")

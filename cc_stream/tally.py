"""From facts to numbers: which rows a fact counts on, and what it is worth there.

Rows are (agent, team), queue and campaign. A team is the sum of its members' rows and the floor the
sum of its queues' rows (and of its agents' time), so neither is a row of its own here.
"""

from collections.abc import Callable
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
_FACTS: Final = (*MOMENT_FACTS, *LIVE_FACTS)
_WITH_CAMPAIGN: Final = frozenset(f for f in _FACTS if "campaign" in f.__struct_fields__)
_WITH_AGENT: Final = frozenset(f for f in _FACTS if "agent" in f.__struct_fields__)


def _worth(adders: tuple[Callable[[Any, Vector], None], ...], fact: Fact) -> Vector:
    vector: Vector = {}
    for add in adders:
        add(fact, vector)
    return vector


def tally(
    fact: Any, tenant: str, attribution: Attribution = "event"
) -> list[tuple[Row, int, Vector]]:
    """(row, moment in ms or LIVE, vector) of a fact; StateTime has none, it spreads over panes.

    The vectors are the caller's own.
    """
    kind = type(fact)
    if kind is StateTime:
        return []
    plan = _PLAN[kind]
    moment: int = LIVE
    if kind not in _IS_LIVE:
        moment = fact.at if attribution == "event" else fact.start
    if kind is OpenState:
        rows = [(("agent", tenant, fact.agent, fact.team), moment, _worth(plan["agent"], fact))]
        return rows + [
            (("queue", tenant, queue), moment, _worth(plan["queue"], fact)) for queue in fact.queues
        ]
    out: list[tuple[Row, int, Vector]] = []
    if fact.queue is not None:
        out.append((("queue", tenant, fact.queue), moment, _worth(plan["queue"], fact)))
    if kind in _WITH_CAMPAIGN and fact.campaign is not None:
        out.append((("campaign", tenant, fact.campaign), moment, _worth(plan["campaign"], fact)))
    if kind in _WITH_AGENT and fact.agent is not None:
        row = ("agent", tenant, fact.agent, fact.team)
        out.append((row, moment, _worth(plan["agent"], fact)))
    return out

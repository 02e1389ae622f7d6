"""From facts to numbers: which rows a fact counts on, and what it is worth there.

Rows are (agent, team), queue and campaign. A team is the sum of its members' rows and the floor the
sum of its queues' rows (and of its agents' time), so neither is a row of its own here.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from cc_stream.counts import Vector
from cc_stream.facts import (
    LIVE_FACTS,
    MOMENT_FACTS,
    Attribution,
    Fact,
    OpenState,
)
from cc_stream.metrics import METRICS
from cc_stream.metrics.metric import ROWS

Row = tuple[str, ...]
"""`("queue", tenant, name)`, `("campaign", tenant, name)` or `("agent", tenant, id, team)`."""

LIVE: Final = -1
"""In place of a moment: what is open now and belongs to no window."""

Adder = Callable[[Any, Vector], None]


class Plan(Struct, frozen=True):
    """What a type of fact is worth by kind of row, and which rows it names."""

    is_live: bool
    many_queues: bool
    has_campaign: bool
    has_agent: bool
    queue: tuple[Adder, ...]
    campaign: tuple[Adder, ...]
    agent: tuple[Adder, ...]
    campaign_as_queue: bool
    agent_as_queue: bool


def _plan(fact: type[Fact]) -> Plan:
    fields = fact.__struct_fields__
    counts = [count for metric in METRICS for count in metric.counts if count.fact is fact]
    adders = {kind: tuple(c.add for c in counts if kind in c.rows) for kind in ROWS}
    return Plan(
        is_live=fact in LIVE_FACTS,
        many_queues=fact is OpenState,
        has_campaign="campaign" in fields,
        has_agent="agent" in fields,
        campaign_as_queue=adders["campaign"] == adders["queue"],
        agent_as_queue=adders["agent"] == adders["queue"],
        **adders,
    )


_PLANS: Final = {fact: _plan(fact) for fact in (*MOMENT_FACTS, *LIVE_FACTS)}


def _worth(adders: tuple[Adder, ...], fact: Fact) -> Vector:
    vector: Vector = {}
    for add in adders:
        add(fact, vector)
    return vector


def tally(
    fact: Any, tenant: str, attribution: Attribution = "event"
) -> tuple[int, list[tuple[Row, Vector]]]:
    """(moment in ms or LIVE, what a fact is worth by row); StateTime is spread over panes instead.

    Rows may share a vector: it is only read. None is empty.
    """
    rows: list[tuple[Row, Vector]] = []
    plan = _PLANS.get(type(fact))
    if plan is None:  # StateTime
        return LIVE, rows
    worth = _worth(plan.queue, fact)
    if worth:
        if plan.many_queues:
            rows = [(("queue", tenant, queue), worth) for queue in fact.queues]
        elif fact.queue is not None:
            rows.append((("queue", tenant, fact.queue), worth))
    if plan.has_campaign and fact.campaign is not None:
        of_campaign = worth if plan.campaign_as_queue else _worth(plan.campaign, fact)
        if of_campaign:
            rows.append((("campaign", tenant, fact.campaign), of_campaign))
    if plan.has_agent and fact.agent is not None:
        of_agent = worth if plan.agent_as_queue else _worth(plan.agent, fact)
        if of_agent:
            rows.append((("agent", tenant, fact.agent, fact.team), of_agent))
    if plan.is_live:
        return LIVE, rows
    return fact.at if attribution == "event" else fact.start, rows

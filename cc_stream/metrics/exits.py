"""Segments that left the queue without an agent: abandoned by the customer, or another exit."""

from cc_stream.counts import Slot, Vector
from cc_stream.events import EXIT_REASONS
from cc_stream.facts import Left
from cc_stream.metrics.metric import OF_QUEUES, QUEUES, Count, Figures, Metric, Reading

EXITS = Slot(4, "exits", labels=EXIT_REASONS)
_BUCKETS = {reason: EXITS.key | index for index, reason in enumerate(EXIT_REASONS)}
_ABANDONED = EXIT_REASONS.index("abandoned")


def _left(fact: Left, vector: Vector) -> None:
    vector[_BUCKETS[fact.reason]] = 1


def abandoned(figures: Figures) -> int:
    """Left by the customer."""
    return figures.buckets(EXITS).get(_ABANDONED, 0)


def _others(figures: Figures) -> dict[str, int]:
    exits = sorted(figures.buckets(EXITS).items())
    return {EXIT_REASONS[bucket]: n for bucket, n in exits if bucket != _ABANDONED}


METRIC = Metric(
    slots=(EXITS,),
    counts=(Count(Left, QUEUES, _left),),
    readings=(
        Reading("abandoned", OF_QUEUES, abandoned, "Left the queue by the customer"),
        Reading("other_exits", OF_QUEUES, _others, "Left the queue otherwise, by reason"),
    ),
)

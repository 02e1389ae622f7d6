"""Contacts that tried to enter a queue and were refused, by reason; not in offered."""

from cc_stream.counts import Slot, Vector
from cc_stream.events import REJECT_REASONS
from cc_stream.facts import Rejected
from cc_stream.metrics.metric import OF_QUEUES, QUEUES, Count, Figures, Metric, Reading

REJECTED = Slot(5, "rejected", labels=REJECT_REASONS)


def _rejected(fact: Rejected, vector: Vector) -> None:
    vector[REJECTED.key | REJECT_REASONS.index(fact.reason)] = 1


def _by_reason(figures: Figures) -> dict[str, int]:
    return {REJECT_REASONS[bucket]: n for bucket, n in sorted(figures.buckets(REJECTED).items())}


METRIC = Metric(
    slots=(REJECTED,),
    counts=(Count(Rejected, QUEUES, _rejected),),
    readings=(Reading("rejected", OF_QUEUES, _by_reason, "Refused by the queue, by reason"),),
)

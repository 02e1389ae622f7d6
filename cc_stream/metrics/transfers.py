"""Contacts passed on, and received: at queue entry for the queue, at the answer for the agent."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Answered, Entered, Transferred
from cc_stream.metrics.metric import AGENTS, OF_ALL, QUEUES, ROWS, Count, Metric, Reading, sum_of

OUT = Slot(16, "transferred_out")
IN = Slot(17, "transferred_in")


def _out(_fact: Transferred, vector: Vector) -> None:
    vector[OUT.key] = 1


def _in(fact: Entered | Answered, vector: Vector) -> None:
    if fact.transferred:
        vector[IN.key] = 1


METRIC = Metric(
    slots=(OUT, IN),
    counts=(
        Count(Transferred, ROWS, _out),
        Count(Entered, QUEUES, _in),
        Count(Answered, AGENTS, _in),
    ),
    readings=(
        Reading("transferred_out", OF_ALL, sum_of(OUT), "Legs that ended by transfer"),
        Reading("transferred_in", OF_ALL, sum_of(IN), "Segments begun by transfer"),
    ),
)

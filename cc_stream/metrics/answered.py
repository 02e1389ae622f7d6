"""Segments connected to an agent."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Answered
from cc_stream.metrics.metric import OF_ALL, ROWS, Count, Metric, Reading, sum_of

ANSWERED = Slot(3, "answered")
_KEY = ANSWERED.key


def _answered(_fact: Answered, vector: Vector) -> None:
    vector[_KEY] = 1


METRIC = Metric(
    slots=(ANSWERED,),
    counts=(Count(Answered, ROWS, _answered),),
    readings=(Reading("answered", OF_ALL, sum_of(ANSWERED), "Connected to an agent"),),
)

"""Rings at an agent that were not taken; several per contact are possible."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import OfferFailed
from cc_stream.metrics.metric import OF_ALL, ROWS, Count, Metric, Reading, sum_of

OFFER_FAILED = Slot(18, "offer_failed")


def _failed(_fact: OfferFailed, vector: Vector) -> None:
    vector[OFFER_FAILED.key] = 1


METRIC = Metric(
    slots=(OFFER_FAILED,),
    counts=(Count(OfferFailed, ROWS, _failed),),
    readings=(Reading("offer_failed", OF_ALL, sum_of(OFFER_FAILED), "Rung in vain"),),
)

"""Conversion: handled eligible segments with a converted outcome, and their value."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Handled
from cc_stream.metrics.metric import OF_ALL, ROWS, Count, Metric, Reading, ratio, sum_of

ELIGIBLE = Slot(19, "eligible")
CONVERTED = Slot(20, "converted")
VALUE = Slot(21, "value_minor")


def _handled(fact: Handled, vector: Vector) -> None:
    if fact.eligible:
        vector[ELIGIBLE.key] = 1
        if fact.converted:
            vector[CONVERTED.key] = 1
            if fact.value_minor:
                vector[VALUE.key] = fact.value_minor


METRIC = Metric(
    slots=(ELIGIBLE, CONVERTED, VALUE),
    counts=(Count(Handled, ROWS, _handled),),
    readings=(
        Reading("eligible", OF_ALL, sum_of(ELIGIBLE), "Handled with an outcome due"),
        Reading("converted", OF_ALL, sum_of(CONVERTED), "Of these converted"),
        Reading(
            "conversion",
            OF_ALL,
            lambda f: ratio(f.count(CONVERTED), f.count(ELIGIBLE)),
            "Converted over eligible",
        ),
        Reading("value_minor", OF_ALL, sum_of(VALUE), "In the minor unit of currency"),
    ),
)

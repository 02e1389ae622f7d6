"""Offered segments, and contacts on the row of their first queue."""

from cc_stream.counts import Slot, Vector
from cc_stream.facts import Entered
from cc_stream.metrics.metric import OF_QUEUES, QUEUES, Count, Metric, Reading, sum_of

OFFERED = Slot(1, "offered")
CONTACTS = Slot(2, "contacts")


def _entered(fact: Entered, vector: Vector) -> None:
    vector[OFFERED_KEY] = 1
    if fact.first:
        vector[CONTACTS_KEY] = 1


OFFERED_KEY, CONTACTS_KEY = OFFERED.key, CONTACTS.key

METRIC = Metric(
    slots=(OFFERED, CONTACTS),
    counts=(Count(Entered, QUEUES, _entered),),
    readings=(
        Reading("offered", OF_QUEUES, sum_of(OFFERED), "Entries into the queue"),
        Reading("contacts", OF_QUEUES, sum_of(CONTACTS), "Contacts, by first queue"),
    ),
)

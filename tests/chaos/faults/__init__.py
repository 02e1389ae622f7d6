"""Every kind of fault, by name."""

from typing import Final

from tests.chaos.faults import broker, feed, loss, redis, workers
from tests.chaos.faults.fault import Fault, World

__all__ = ["BY_NAME", "FAULTS", "Fault", "World"]

AWAITING: Final = ("poison_record", "poison_batch", "topic_anew_running")
"""Kinds that the engine cannot meet yet."""
FAULTS: Final = tuple(
    fault
    for fault in (
        *workers.FAULTS,
        *broker.FAULTS,
        *redis.FAULTS,
        *feed.FAULTS,
        *loss.FAULTS,
    )
    if fault.name not in AWAITING
)
BY_NAME: Final = {fault.name: fault for fault in FAULTS}

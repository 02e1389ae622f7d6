"""Every kind of fault, by name."""

from typing import Final

from tests.chaos.faults import broker, feed, loss, redis, workers
from tests.chaos.faults.fault import Fault, World

__all__ = ["BY_NAME", "FAULTS", "Fault", "World"]

FAULTS: Final = (
    *workers.FAULTS,
    *broker.FAULTS,
    *redis.FAULTS,
    *feed.FAULTS,
    *loss.FAULTS,
)
BY_NAME: Final = {fault.name: fault for fault in FAULTS}

"""The metrics: one file each, one line each. The order is the order of outputs."""

from typing import Final

from cc_stream.counts import Slot
from cc_stream.metrics import (
    agent_time,
    answered,
    conversion,
    exits,
    handled,
    in_progress,
    offer_failed,
    offered,
    queue_staff,
    queue_wait,
    rejected,
    service_level,
    transfers,
    waiting,
)
from cc_stream.metrics.metric import Figures, Metric, Reading

METRICS: Final[tuple[Metric, ...]] = (
    offered.METRIC,
    rejected.METRIC,
    answered.METRIC,
    exits.METRIC,
    queue_wait.METRIC,
    service_level.METRIC,
    waiting.METRIC,
    in_progress.METRIC,
    handled.METRIC,
    transfers.METRIC,
    offer_failed.METRIC,
    conversion.METRIC,
    agent_time.METRIC,
    queue_staff.METRIC,
)

SLOTS: Final[dict[int, Slot]] = {slot.number: slot for m in METRICS for slot in m.slots}
READINGS: Final[tuple[Reading, ...]] = tuple(r for m in METRICS for r in m.readings)

__all__ = ["METRICS", "READINGS", "SLOTS", "Figures", "Metric", "Reading"]

"""Whether a worker is ready: what `/readyz` answers, and why not."""

from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from streams.owner import Owner

READY_LAG: Final = 20_000
"""A shard that is further behind shows old figures (also the limit of the alert on lag)."""


def unready(owner: Owner, lags: Mapping[TopicPartition, int]) -> list[str]:
    """One line for each reason why this worker is not ready; empty when it is."""
    if not owner.joined:
        return ["no partitions are assigned yet"]
    reasons = [f"{one.shard} has stopped: {one.reason}" for one in owner.stopped.values()]
    for tp, shard in owner.shards.items():
        if not shard.live:
            reasons.append(f"{shard.name} is loading")
        elif lags.get(tp, 0) > READY_LAG:
            reasons.append(f"{shard.name} is {lags[tp]} records behind")
    return reasons

"""Does an event cost more with more agents, or with more hours of state? CPU, without a broker.

A shard of calls and a board shard in memory, with flushes and everything that they would store.
Views are not in it: they cost by the second, not by the event.
"""

import asyncio
import gc
import json
import math
import time
from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean
from typing import Final

from bench.inputs import Input, simulated
from bench.line import Line, Rec, records_of
from bench.place import Place, child
from streams.interpreter import tune_interpreter

AGENTS: Final = (10, 100, 1_000, 10_000)
HOURS: Final = (1, 8, 24)
HOURS_SEATS: Final = 100
WARM: Final = 2_000
EVENTS: Final = 10_000
EVENTS_AT_HOUR: Final = 4_000
HOUR_MS: Final = 3_600_000


async def run(_place: Place, _given: Input, _name: str) -> dict[str, float]:
    """Measure in a process of its own.

    Raises:
        BenchError: it failed.
    """
    return await asyncio.to_thread(child, __name__)


def _records(count: int, seats: int) -> tuple[list[Rec], int]:
    """Reference data and then events, and how many of them are reference data."""
    given = simulated(count, seats)
    reference = [sent for sent in given.reference if not sent[0]]
    return list(records_of(reference + given.events)), len(reference)


def _cost_us(line: Line, records: list[Rec]) -> float:
    """CPU an event of the thread that counts: another one moves pages (`streams.huge_pages`)."""
    gc.collect()
    started = time.thread_time()
    line.feed(records)
    return (time.thread_time() - started) / len(records) * 1e6


def by_agents(seats: int) -> float:
    """The cost with so many seats."""
    records, known = _records(WARM + EVENTS, seats)
    line = Line(records[known].timestamp)
    line.feed(records[: known + WARM])
    return _cost_us(line, records[known + WARM :])


def by_hours() -> dict[int, float]:
    """The cost after so many hours, of one floor."""
    per_hour = 6_500  # 100 seats make up to 1.8 events a second
    records, known = _records(HOURS[-1] * per_hour + EVENTS_AT_HOUR, HOURS_SEATS)
    begun_ms = records[known].timestamp
    line, found, at = Line(begun_ms), {}, 0
    for hours in HOURS:
        upto = next(
            n
            for n in range(known, len(records))
            if records[n].timestamp >= begun_ms + hours * HOUR_MS
        )
        line.feed(records[at:upto])
        at = upto + EVENTS_AT_HOUR
        found[hours] = _cost_us(line, records[upto:at])
    return found


def slope(cost: Mapping[int, float] | Mapping[float, float]) -> float:
    """The least-squares slope, as a share of the mean cost by unit of the key."""
    x, y = fmean(cost), fmean(cost.values())
    return sum((k - x) * (v - y) for k, v in cost.items()) / sum((k - x) ** 2 for k in cost) / y


def measured() -> dict[str, float]:
    """Both series and their slopes."""
    agents = {seats: by_agents(seats) for seats in AGENTS}
    hours = by_hours()
    return {
        **{f"us_per_event_at_{seats}_agents": us for seats, us in agents.items()},
        **{f"us_per_event_at_{of}_hours": us for of, us in hours.items()},
        "slope_per_tenfold_agents": slope({math.log10(n): us for n, us in agents.items()}),
        "slope_per_hour": slope(hours),
    }


if __name__ == "__main__":
    tune_interpreter()
    assert all(one < other for one, other in pairwise(HOURS))
    print(json.dumps(measured()))

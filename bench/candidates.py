"""The candidates by name; a dot in a name is a level in the file of results."""

from collections.abc import Callable, Coroutine
from typing import Final

from msgspec import Struct

from bench import backfill, both_stages, growth, latency, limit, memory, recovery, scrape
from bench.flat import engine, kafka_streams, quix, stock_faust
from bench.flat import limit as flat_limit
from bench.inputs import Input
from bench.place import Place

Figures = dict[str, float]
Run = Callable[[Place, Input, str], Coroutine[None, None, Figures]]


class Candidate(Struct, frozen=True):
    """What is measured. `at_most`: repetitions of what is long, or hardly moves.

    `on_request`: only when it is named. `needs_broker`: it has to do with the broker.
    """

    run: Run
    at_most: int = 1_000
    on_request: bool = False
    needs_broker: bool = True


CANDIDATES: Final = {
    "limit": Candidate(limit.run),
    "both_stages": Candidate(both_stages.one_worker),
    "two_workers": Candidate(both_stages.two_workers),
    "flat.limit": Candidate(flat_limit.run),
    "flat.cc_stream": Candidate(engine.run),
    "flat.stock_faust": Candidate(stock_faust.run),
    "flat.quixstreams": Candidate(quix.run),
    **{
        f"flat.{name}": Candidate(run, 1_000 if name in kafka_streams.IN_RATIOS else 1)
        for name, run in kafka_streams.RUNS.items()
    },
    "latency": Candidate(latency.by_rate),
    **{f"flush_ms.{ms}": Candidate(run, at_most=1) for ms, run in latency.BY_FLUSH_MS.items()},
    "recovery": Candidate(recovery.run, at_most=1),
    "memory": Candidate(memory.run, at_most=1, needs_broker=False),
    "backfill": Candidate(backfill.part_of_a_day, at_most=1),
    "backfill_day": Candidate(backfill.whole_day, at_most=1, on_request=True),
    "growth": Candidate(growth.run, at_most=1, needs_broker=False),
    "scrape": Candidate(scrape.run, at_most=1, needs_broker=False),
}

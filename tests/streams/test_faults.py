"""Every fault as an item of the input: in the end all that is shown equals the oracle.

A schedule is drawn by hypothesis: events in disorder, deliveries that overlap or have holes,
transactions that fail at each of their points, owners that sleep, workers that die, rebalances, a
view store that is away or empty. One that fails is shrunk to the fewest steps.
"""

import logging
from collections.abc import Iterator
from functools import lru_cache

import orjson
import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from cc_stream.events import to_rfc3339
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.outbox import Arrival
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.simulate.reference import reference
from tests.streams.installation import Installation
from tests.streams.kafka import Fault

BEGIN_MS = 1_795_500_004_321
HOUR_MS = 3_600_000
ROUGH = Faults(
    disorder=0.2, disorder_seconds=60.0, duplicates=0.1, bad=0.05, missing_ends=0.1, restated=0.3
)
WORKERS = 2
SHARDS = 6


@lru_cache
def feed(seed: int) -> list[Arrival]:
    """Half an hour of a small floor."""
    plan = SimulationSettings(seats=4, seed=seed, faults=ROUGH)
    return list(arrivals(plan, BEGIN_MS, BEGIN_MS + HOUR_MS // 2))


@lru_cache
def roster() -> list[Arrival]:
    """A few people and queues."""
    return list(reference(SimulationSettings(seats=4), BEGIN_MS))[:8]


def changed(arrival: Arrival, number: int, now_ms: int) -> Arrival:
    """The same person or queue with other settings from now on."""
    event = orjson.loads(arrival.value)
    event["id"] = f"change-{number}"
    event["time"] = event["data"]["valid_from"] = to_rfc3339(now_ms)
    event["data"]["fields"]["team"] = f"team-{number % 3}"
    event["data"]["fields"]["service_level_seconds"] = 5 + number
    return replace(arrival, at_ms=now_ms, value=orjson.dumps(event))


class Schedule(RuleBasedStateMachine):
    """Steps in any order; `teardown` lets everything come to rest and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Installation(BEGIN_MS, WORKERS)
        self.told = 0
        self.changes = 0
        self.feed: list[Arrival] = []

    def source(self, number: int) -> TopicPartition:
        return self.line.sources[number]

    @initialize(seed=st.integers(0, 3))
    def a_floor(self, seed: int) -> None:
        self.feed = feed(seed)
        self.line.produce(roster())

    # --- input -------------------------------------------------------------------------------

    @rule(count=st.integers(1, 60))
    def events_arrive(self, count: int) -> None:
        self.line.produce(self.feed[self.told : self.told + count])
        self.told += count

    @rule(back=st.integers(1, 50), count=st.integers(1, 5))
    def events_arrive_again(self, back: int, count: int) -> None:
        start = max(0, self.told - back)
        self.line.produce(self.feed[start : min(self.told, start + count)])

    @rule(ahead=st.integers(20, 200))
    def a_clock_is_ahead(self, ahead: int) -> None:
        for arrival in self.feed[self.told + ahead : self.told + ahead + 2]:
            self.line.produce([replace(arrival, at_ms=self.line.kafka.now_ms)])

    @rule(which=st.integers(0, 7))
    def reference_changes(self, which: int) -> None:
        self.changes += 1
        now_ms = self.line.kafka.now_ms
        self.line.produce([changed(roster()[which], self.changes, now_ms)])

    @rule(partition=st.integers(0, 1))
    def poison(self, partition: int) -> None:
        self.line.poison(partition)

    @rule(seconds=st.sampled_from([1, 11, 70, 900, 4_000]))
    def time_passes(self, seconds: int) -> None:
        self.line.kafka.now_ms += seconds * 1_000

    # --- deliveries --------------------------------------------------------------------------

    @rule(
        number=st.integers(0, SHARDS - 1),
        shift=st.sampled_from([0, 0, 0, -3, -20, 1, 4, 15]),
        count=st.integers(1, 80),
        sought=st.booleans(),
    )
    def records_come(self, number: int, shift: int, count: int, sought: bool) -> None:  # noqa: FBT001 - drawn
        self.line.deliver(self.source(number), shift, count, sought=sought)

    @rule()
    def all_that_is_there_comes(self) -> None:
        for tp in self.line.sources:
            self.line.deliver(tp, 0, 1_000, sought=False)

    # --- flushes -----------------------------------------------------------------------------

    @rule(number=st.integers(0, SHARDS - 1))
    def flush(self, number: int) -> None:
        self.line.flush(self.source(number))

    @rule(number=st.integers(0, SHARDS - 1), fault=st.sampled_from(Fault))
    def flush_fails(self, number: int, fault: Fault) -> None:
        """That of a shard with something to write, if there is anything for it."""
        self.line.deliver(self.source(number), 0, 1_000, sought=False)
        self.line.kafka.fault = fault
        self.line.flush(self.source(number))
        self.line.kafka.fault = None

    @rule()
    def flush_all(self) -> None:
        self.line.flush(*self.line.sources)

    # --- workers -----------------------------------------------------------------------------

    @rule(number=st.integers(0, WORKERS - 1), fault=st.none() | st.sampled_from(Fault))
    def worker_dies(self, number: int, fault: Fault | None) -> None:
        """In the middle of a transaction, if there is one to write."""
        if fault is not None:
            self.line.die_in(number, fault)
        self.line.kill(number)

    @rule(number=st.integers(0, WORKERS - 1))
    def worker_falls_asleep(self, number: int) -> None:
        self.line.fall_asleep(number)

    @precondition(lambda self: self.line.asleep)
    @rule()
    def sleepers_wake(self) -> None:
        self.line.wake()

    @rule(places=st.lists(st.integers(0, WORKERS - 1), min_size=SHARDS, max_size=SHARDS))
    def rebalance(self, places: list[int]) -> None:
        self.line.place = dict(zip(self.line.sources, places, strict=True))
        self.line.assign()

    @rule(number=st.integers(0, SHARDS - 1), anew=st.booleans())
    def records_are_lost(self, number: int, anew: bool) -> None:  # noqa: FBT001 - drawn
        self.line.lose(self.source(number), anew=anew)

    # --- views -------------------------------------------------------------------------------

    @rule()
    def show(self) -> None:
        self.line.show()

    @rule(is_down=st.booleans())
    def the_store_is_away_or_back(self, is_down: bool) -> None:  # noqa: FBT001 - drawn
        self.line.store.is_down = is_down

    @rule()
    def the_store_is_emptied(self) -> None:
        self.line.store.lose_everything()

    # --- what has to hold --------------------------------------------------------------------

    @invariant()
    def every_commit_keeps_its_promise(self) -> None:
        assert self.line.kafka.broken == []

    def teardown(self) -> None:
        line = self.line
        try:
            line.store.is_down = False
            line.settle()
            line.wake()
            assert line.kafka.broken == []
            collected = line.collect()
            assert line.compare(collected).differ == []
            assert line.letters() == line.refused(collected)
        finally:
            line.close()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of faults are expected, and each would be logged with its stack."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


TestSchedules = Schedule.TestCase
TestSchedules.settings = settings(
    max_examples=600,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

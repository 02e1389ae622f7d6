"""When a line counts as drained, and the moment of the last tick."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_stream.cli.drain import (
    EDGE_MS,
    LEAD_MS,
    NotDrainedError,
    lag_of,
    tick_moment,
    wait_for_floor,
    wait_for_tick,
)
from cc_stream.cli.scrape import Scrape, parsed, quantile, since
from cc_stream.panes import FINE_MS
from cc_stream.topics import topics

WANTED = topics("t", calls=2, agents=1, board=2)
LAGS = """\
# TYPE cc_shard_lag_records gauge
cc_shard_lag_records{topic="t.calls.v1",partition="0"} 3
cc_shard_lag_records{topic="t.calls.v1",partition="1"} 0
cc_shard_lag_records{topic="t.agents.v1",partition="0"} 4
cc_shard_lag_records{topic="t.deltas.v1",partition="0"} 100
"""


@given(st.integers(min_value=0, max_value=1 << 41))
def test_a_tick_is_ahead_and_away_from_the_edges(now_ms: int) -> None:
    moment = tick_moment(now_ms)
    assert LEAD_MS <= moment - now_ms <= LEAD_MS + 2 * EDGE_MS
    assert EDGE_MS <= moment % FINE_MS <= FINE_MS - EDGE_MS


def test_lag_counts_the_floor_alone() -> None:
    assert lag_of(Scrape(tuple(parsed(LAGS))), WANTED) == 7


def test_lag_is_not_known_while_a_partition_is_nobodys() -> None:
    without = LAGS.replace('cc_shard_lag_records{topic="t.agents.v1",partition="0"} 4\n', "")
    assert lag_of(Scrape(tuple(parsed(without))), WANTED) is None
    assert lag_of(Scrape(), WANTED) is None


def test_a_line_that_does_not_drain_is_told() -> None:
    async def read() -> Scrape:
        return Scrape(tuple(parsed(LAGS)))

    with pytest.raises(NotDrainedError, match="7 records are left"):
        asyncio.run(wait_for_floor(read, WANTED, deadline_seconds=0))


def test_shards_without_the_last_tick_are_named() -> None:
    async def as_of() -> dict[int, int]:
        return {0: 1_000, 1: 999}

    asyncio.run(wait_for_tick(as_of, 2, 999, deadline_seconds=0))
    with pytest.raises(NotDrainedError, match=r"board shards \[1, 2\]"):
        asyncio.run(wait_for_tick(as_of, 3, 1_000, deadline_seconds=0))


def test_quantiles_are_those_of_promql() -> None:
    inf = float("inf")
    buckets = {0.1: 50.0, 0.2: 90.0, 0.5: 100.0, inf: 100.0}
    assert quantile(0.5, buckets) == pytest.approx(0.1)
    assert quantile(0.7, buckets) == pytest.approx(0.15)
    assert quantile(0.95, buckets) == pytest.approx(0.35)
    assert quantile(0.99, {0.1: 1.0, inf: 2.0}) == 0.1
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {0.1: 0.0, inf: 0.0}) is None


def test_histograms_are_read_as_differences_until_a_restart() -> None:
    assert since({1.0: 4}, {1.0: 6, 2.0: 7}) == {1.0: 2, 2.0: 7}
    assert since({1.0: 4}, {1.0: 1}) == {1.0: 1}

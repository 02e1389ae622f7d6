"""How often a worker fetches and flushes, by how busy it is."""

import time

import pytest

from streams.pace import (
    AWAKE,
    BUSY,
    CALM,
    FEWEST_FLUSHES,
    GATHER_SECONDS,
    HURRIED,
    LONGEST_GATHER_SECONDS,
    MOST_FLUSHES,
    QUIET,
    QUIET_FLUSHES,
    UNHURRIED,
    Load,
    Workload,
    flushes_per_second,
    gather_seconds,
)


@pytest.mark.parametrize(
    ("records", "busy", "flushes"),
    [
        (0.0, 0.0, QUIET_FLUSHES), (QUIET, UNHURRIED, QUIET_FLUSHES), (AWAKE, 0.1, MOST_FLUSHES),
        (QUIET, HURRIED, MOST_FLUSHES), (AWAKE, CALM, MOST_FLUSHES), (AWAKE, BUSY, FEWEST_FLUSHES),
        (QUIET, BUSY, FEWEST_FLUSHES), (AWAKE, 1.2, FEWEST_FLUSHES),
    ],
)  # fmt: skip
def test_when_little_comes_and_without_time_there_are_fewer_flushes(
    records: float, busy: float, flushes: float
) -> None:
    assert flushes_per_second(Load(records, busy)) == flushes


def test_when_little_comes_records_gather_for_longer() -> None:
    assert gather_seconds(Load(QUIET, UNHURRIED)) == LONGEST_GATHER_SECONDS
    assert gather_seconds(Load(AWAKE, 0.1)) == gather_seconds(Load(0.0, 1.0)) == GATHER_SECONDS


def steps(first: float, last: float) -> list[float]:
    return [first + (last - first) * step / 8 for step in range(9)]


def test_between_the_two_the_pace_changes_with_each_step() -> None:
    flushes = [flushes_per_second(Load(AWAKE, busy)) for busy in steps(CALM, BUSY)]
    assert flushes == sorted(set(flushes), reverse=True)
    for loads in (
        [Load(records, UNHURRIED) for records in steps(QUIET, AWAKE)],
        [Load(QUIET, busy) for busy in steps(UNHURRIED, HURRIED)],
    ):
        flushes = [flushes_per_second(load) for load in loads]
        assert flushes == sorted(set(flushes))
        gathers = [gather_seconds(load) for load in loads]
        assert gathers == sorted(set(gathers), reverse=True)


def test_the_load_follows_what_was_given_and_computed_of_late() -> None:
    now, used = [100.0], [7.0]
    workload = Workload(lambda: now[0], lambda: used[0])
    loads = [Load(0.0, 0.0)]
    for records, computed in ((1_000, 0.5), (1_000, 0.5), (0, 0.5), (500, 0.0)):
        now[0] += 0.25
        assert workload.load() == loads[-1], "too soon to tell"
        workload.add(records)
        now[0] += 0.25
        used[0] += computed
        loads.append(workload.load())
    assert [load.records for load in loads[1:]] == [1_000, 1_500, 750, 875]
    assert [load.busy for load in loads[1:]] == [0.5, 0.75, 0.875, 0.4375]


def test_the_clocks_are_those_of_the_thread() -> None:
    workload = Workload()
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        pass
    assert 0.2 < workload.load().busy <= 0.51

"""How often a worker fetches and flushes, by how busy it is."""

import time

import pytest

from streams.pace import (
    AWAKE,
    BUSY,
    CALM,
    FEWEST_FLUSHES,
    GATHER_SECONDS,
    LONGEST_GATHER_SECONDS,
    MOST_FLUSHES,
    QUIET,
    QUIET_FLUSHES,
    Workload,
    flushes_per_second,
    gather_seconds,
)


@pytest.mark.parametrize(
    ("busy", "flushes"),
    [
        (0.0, QUIET_FLUSHES), (QUIET, QUIET_FLUSHES), (AWAKE, MOST_FLUSHES), (CALM, MOST_FLUSHES),
        (BUSY, FEWEST_FLUSHES), (1.2, FEWEST_FLUSHES),
    ],
)  # fmt: skip
def test_with_little_to_do_and_without_time_there_are_fewer_flushes(
    busy: float, flushes: float
) -> None:
    assert flushes_per_second(busy) == flushes


def test_with_little_to_do_records_gather_for_longer() -> None:
    assert gather_seconds(QUIET) == LONGEST_GATHER_SECONDS
    assert gather_seconds(AWAKE) == gather_seconds(1.0) == GATHER_SECONDS


def percents(first: float, last: float) -> list[float]:
    return [percent / 100 for percent in range(round(first * 100), round(last * 100) + 1)]


def test_between_the_two_the_pace_changes_with_each_step() -> None:
    flushes = [flushes_per_second(busy) for busy in percents(CALM, BUSY)]
    assert flushes == sorted(set(flushes), reverse=True)
    flushes = [flushes_per_second(busy) for busy in percents(QUIET, AWAKE)]
    assert flushes == sorted(set(flushes))
    gathers = [gather_seconds(busy) for busy in percents(QUIET, AWAKE)]
    assert gathers == sorted(set(gathers), reverse=True)


def test_the_share_follows_what_was_computed_of_late() -> None:
    now, used = [100.0], [7.0]
    workload = Workload(lambda: now[0], lambda: used[0])
    shares: list[float] = []
    for computed in (0.5, 0.5, 0.5, 0.0):
        now[0] += 0.25
        assert workload.share() == (shares[-1] if shares else 0.0), "too soon to tell"
        now[0] += 0.25
        used[0] += computed
        shares.append(workload.share())
    assert shares == [0.5, 0.75, 0.875, 0.4375]


def test_the_clocks_are_those_of_the_thread() -> None:
    workload = Workload()
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        pass
    assert 0.2 < workload.share() <= 0.51

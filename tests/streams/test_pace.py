"""How often a worker flushes, by how busy it is."""

import time

import pytest

from streams.pace import BUSY, CALM, FEWEST_FLUSHES, MOST_FLUSHES, Workload, flushes_per_second


@pytest.mark.parametrize(
    ("busy", "flushes"),
    [(0.0, MOST_FLUSHES), (CALM, MOST_FLUSHES), (BUSY, FEWEST_FLUSHES), (1.2, FEWEST_FLUSHES)],
)
def test_a_worker_without_time_flushes_a_third_as_often(busy: float, flushes: float) -> None:
    assert flushes_per_second(busy) == flushes


def test_between_the_two_it_flushes_the_less_the_busier_it_is() -> None:
    flushes = [
        flushes_per_second(busy / 100) for busy in range(round(CALM * 100), round(BUSY * 100) + 1)
    ]
    assert flushes == sorted(flushes, reverse=True)
    assert len(set(flushes)) == len(flushes)


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

"""A seed gives its schedule again; together seeds have every kind of fault."""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.faults import BY_NAME, FAULTS
from tests.chaos.schedule import LONGEST_WAIT_EVENTS, THIRDS, Step, schedule

REPOSITORY = Path(__file__).parents[2]
KINDS = [f"kind-{number:02}" for number in range(25)]


def kinds_of(steps: tuple[Step, ...]) -> list[str]:
    return [step.fault for step in steps]


def test_a_seed_replays() -> None:
    assert schedule(7, 20, KINDS) == schedule(7, 20, KINDS)
    assert schedule(7, 20, KINDS) == schedule(7, 20, KINDS[::-1])


def test_a_longer_run_of_a_seed_begins_with_the_shorter_one() -> None:
    assert schedule(7, 30, KINDS)[:20] == schedule(7, 20, KINDS)


@pytest.mark.parametrize("seed", range(12))
def test_each_kind_occurs_as_often_as_any_other(seed: int) -> None:
    counts = Counter(kinds_of(schedule(seed, 2 * len(KINDS), KINDS)))
    assert counts == dict.fromkeys(KINDS, 2)


@pytest.mark.parametrize("group", range(4))
def test_three_seeds_share_the_kinds_among_them(group: int) -> None:
    third = -(-len(KINDS) // THIRDS)
    seeds = range(THIRDS * group, THIRDS * (group + 1))
    found = [kind for seed in seeds for kind in kinds_of(schedule(seed, third, KINDS))]
    assert set(found) == set(KINDS)


def test_groups_of_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(kinds_of(schedule(seed, 25, KINDS))) for seed in range(0, 30, THIRDS)}
    assert len(orders) == 10


def test_steps_are_numbered_and_drawn_one_by_one() -> None:
    steps = schedule(3, 10, KINDS)
    assert [step.number for step in steps] == list(range(1, 11))
    assert len({step.seed for step in steps}) == 10
    assert len({step.after_events for step in steps}) > 1
    assert all(0 <= step.after_events < LONGEST_WAIT_EVENTS for step in steps)


def test_the_kinds_have_names_of_their_own_and_say_what_they_do() -> None:
    assert len(BY_NAME) == len(FAULTS)
    assert len({fault.help for fault in FAULTS}) == len(FAULTS)


def test_the_page_lists_the_kinds() -> None:
    page = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")
    for fault in FAULTS:
        assert f"| `{fault.name}` | {fault.help} |" in page

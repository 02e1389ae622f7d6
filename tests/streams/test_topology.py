"""The line from events to windows in memory, with faults: equal to the oracle."""

import random

import pytest

from cc_stream.counts import join
from cc_stream.panes import WINDOWS
from cc_stream.reference import Terms
from cc_stream.report.book import Book
from cc_stream.report.collect import facts
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.plan import Faults, SimulationSettings
from cc_stream.simulate.reference import reference
from tests.streams.topology import World

END_MS = 1_795_500_004_321
HOUR_MS = 3_600_000
ROUGH = Faults(
    disorder=0.1, disorder_seconds=30.0, duplicates=0.05, bad=0.01, missing_ends=0.02, restated=0.2
)


def world_of(seed: int, hours: float) -> World:
    world = World(END_MS, Terms(timezone="Europe/Berlin"))
    plan = SimulationSettings(seats=20, seed=seed, faults=ROUGH)
    begin = END_MS - round(hours * HOUR_MS)
    for arrival in reference(plan, begin):
        world.append(world.topics.reference.name, 0, arrival.key, arrival.value, begin)
    world.settle()
    world.produce(arrivals(plan, begin, END_MS))
    return world


def differences(world: World) -> list[object]:
    """Every window and live vector of every entity that differs from the oracle's."""
    collected = world.collect()
    book = Book(facts(collected))
    wrong: list[object] = []
    seen = set()
    for board in world.boards():
        board.tick(world.now_ms)
        for entity, row in board.rows.all.items():
            windows = row.windows
            if entity.kind == "floor":
                continue
            seen.add(entity)
            wrong += [
                (entity, name)
                for name in (board.rows.agent_windows if entity.kind == "agent" else WINDOWS)
                if join(windows.sum(name)) != book.sum(entity, windows.window(name))
            ]
            if join(windows.live) != book.live(entity):
                wrong.append((entity, "live"))
    missing = {e for kind in ("queue", "campaign", "agent", "team") for e in book.of_kind(kind)}
    wrong += sorted(missing - seen)
    assert world.seen.refused.total() >= collected.refused.total() > 0
    return wrong


def test_whole_line_equals_the_oracle() -> None:
    world = world_of(seed=1, hours=8)
    world.settle()
    assert differences(world) == []


@pytest.mark.parametrize("seed", range(4))
def test_crashes_change_nothing(seed: int) -> None:
    rnd = random.Random(seed)
    world = world_of(seed, hours=2)
    for _ in range(600):
        shard = rnd.choice(world.shards)
        step = rnd.random()
        if step < 0.6:
            shard.deliver(rnd.choice((1, 7, 60, 300)))
        elif step < 0.9:
            shard.flush(world.now_ms)
        else:
            shard.crash()
    world.settle()
    assert differences(world) == []


def test_a_board_that_was_away_an_hour_shows_the_same() -> None:
    world = world_of(seed=5, hours=3)
    world.settle()
    world.now_ms += HOUR_MS
    for shard in world.shards[-2:]:
        shard.crash()
    assert differences(world) == []

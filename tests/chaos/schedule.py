"""Which faults a run inflicts, and when: drawn from the seed alone, so that a seed replays."""

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct

THIRDS: Final = 3
LONGEST_WAIT_EVENTS: Final = 150


class Step(Struct, frozen=True):
    """One fault. It is inflicted once so many events more were written; `seed` draws the rest."""

    number: int
    fault: str
    after_events: int
    seed: str


def schedule(seed: int, count: int, kinds: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a run.

    The seeds 3k, 3k + 1 and 3k + 2 share one order of the kinds and begin a third of it apart:
    together they have every kind when each has a third as many faults as there are kinds. A run
    with as many faults as kinds has every kind.
    """
    order = sorted(kinds)
    Random(f"order/{seed // THIRDS}").shuffle(order)
    first = seed % THIRDS * -(-len(order) // THIRDS)
    random = Random(f"waits/{seed}")
    return tuple(
        Step(
            number,
            order[(first + number - 1) % len(order)],
            random.randrange(LONGEST_WAIT_EVENTS),
            f"{seed}/{number}",
        )
        for number in range(1, count + 1)
    )

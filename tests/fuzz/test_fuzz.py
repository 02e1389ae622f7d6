"""20,000 inputs over all parsers, and fewer whose choices hypothesis makes and shrinks."""

import time
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.records import TermsOf
from tests.fuzz.run import MOST_NS, FailedError, attempt, run
from tests.fuzz.targets import TARGETS, inputs_of

INPUTS = 20_000
SEED = 20_261_127
IN_ONE = 8
"""So many inputs one after the other: later ones meet what earlier ones left."""

every_target = pytest.mark.parametrize("name", TARGETS)


@every_target
def test_whatever_comes_only_the_parsers_own_error_leaves_it(name: str) -> None:
    counts = inputs_of(INPUTS)
    assert sum(counts.values()) == INPUTS
    ran = run(TARGETS[name](), name, SEED, counts[name], lambda _done: None)
    assert ran.inputs == counts[name]
    assert ran.parsed > 0


@every_target
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_no_choice_of_mutations_breaks_it(name: str, rng: Random) -> None:
    # Not timed: hypothesis allows a deeper recursion than a program has.
    target = TARGETS[name]()
    try:
        for _ in range(IN_ONE):
            attempt(target, target.draw(rng), name)
    finally:
        target.close()


class Slow(TermsOf):
    """Takes longer than any parser may, every time."""

    def parse(self, given: dict[str, object]) -> object:  # type: ignore[override]
        begun = time.thread_time_ns()
        while time.thread_time_ns() - begun <= MOST_NS:
            pass
        return super().parse(given)


class Raises(TermsOf):
    """Lets an error through that is not its own."""

    def parse(self, given: dict[str, object]) -> object:  # type: ignore[override]
        raise KeyError(len(given))


class Forgets(TermsOf):
    """Gives what does not hold."""

    def hold(self, _given: object, found: object) -> None:
        assert found is None


class Leaks(TermsOf):
    """Keeps something of every input."""

    kept: list[object]

    def __init__(self) -> None:
        self.kept = []

    def hold(self, _given: object, found: object) -> None:
        self.kept.append([found, [], {}, object(), object()])


@pytest.mark.parametrize(
    ("target", "inputs", "text"),
    [
        (Slow, 1, "took"),
        (Raises, 1, "KeyError"),
        (Forgets, 1, "AssertionError"),
        (Leaks, 10_000, "objects"),
    ],
)
def test_a_run_finds_what_it_looks_for(target: type[TermsOf], inputs: int, text: str) -> None:
    with pytest.raises(FailedError, match=text):
        run(target(), "spoiled", SEED, inputs, lambda _done: None)


def test_a_seed_gives_the_same_inputs() -> None:
    for name in ("records", "reference", "terms_of"):
        one, other = TARGETS[name](), TARGETS[name]()
        first, second = Random(SEED), Random(SEED)
        assert [one.draw(first) for _ in range(200)] == [other.draw(second) for _ in range(200)]

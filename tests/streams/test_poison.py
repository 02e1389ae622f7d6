"""The search for the record that makes a stage fail."""

from itertools import chain
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from cc_stream.errors import CcStreamError
from streams.poison import BYTES_AN_EVENT, PIECES, Suspect, pieces, suspect_of


class At(NamedTuple):
    """A record, as far as the search reads it."""

    offset: int
    value: bytes | None = None


class Trial(NamedTuple):
    """What one incarnation of a shard came to."""

    applied: list[int]
    buried: list[int]
    working: tuple[int, int] | None


def _incarnation(offsets: list[int], bad: set[int], suspect: Suspect | None) -> Trial:
    """Apply as a shard does, until the stage fails."""
    applied: list[int] = []
    buried: list[int] = []
    records = [At(offset) for offset in offsets]
    for _, piece in pieces(records, suspect, 256):  # type: ignore[arg-type]
        found = [record.offset for record in piece]
        if suspect is not None and suspect.alone and found[-1] == suspect.begin:
            buried += found
        elif bad.intersection(found):
            return Trial(applied, buried, (found[0], found[-1] + 1))
        else:
            applied += found
    return Trial(applied, buried, None)


@given(
    st.sets(st.integers(0, 5_000), min_size=1, max_size=600),
    st.data(),
)
def test_exactly_the_bad_ones_are_buried_in_few_loads(
    offsets: set[int], data: st.DataObject
) -> None:
    log = sorted(offsets)
    bad = data.draw(st.sets(st.sampled_from(log), max_size=3))
    applied: list[int] = []
    buried: list[int] = []
    suspect: Suspect | None = None
    loads = 0
    while log:
        trial = _incarnation(log, bad, suspect)
        loads += 1
        # Every piece was flushed, so the next incarnation goes on behind the last one.
        applied += trial.applied
        buried += trial.buried
        done = len(trial.applied) + len(trial.buried)
        log = log[done:]
        if trial.working is not None:
            over = suspect is None or (log[0] >= suspect.end)
            before = None if over else suspect
            suspect = suspect_of(trial.working, before, KeyError("what it holds"))
            assert suspect is not None
    assert sorted(applied) == sorted(offsets - bad)
    assert set(buried) == bad
    # A chunk spans at most 5,001 offsets: so many steps to one of them, and one that buries it.
    assert loads <= 1 + len(bad) * 6


def test_the_letter_names_the_type_of_the_error_and_nothing_it_holds() -> None:
    suspect = suspect_of((7, 8), Suspect(0, 16, "KeyError"), KeyError("+49 30 1234567"))
    assert suspect == Suspect(7, 8, "KeyError", alone=True)
    assert (suspect.refused.rule, suspect.refused.detail) == ("poison", "KeyError")


def test_one_failure_alone_is_no_proof() -> None:
    assert suspect_of((7, 8), None, KeyError()) == Suspect(7, 8, "KeyError", alone=False)


def test_what_is_no_records_fault_accuses_none() -> None:
    assert suspect_of(None, None, KeyError()) is None
    assert suspect_of((7, 7), None, KeyError()) is None
    assert suspect_of((7, 9), None, MemoryError()) is None
    assert suspect_of((7, 9), None, CcStreamError("a batch is missing")) is None


def test_a_search_that_comes_no_closer_is_an_ordinary_failure() -> None:
    alone = Suspect(7, 8, "KeyError", alone=True)
    assert suspect_of((7, 8), alone, KeyError()) is None
    assert suspect_of((0, PIECES), Suspect(0, PIECES, "KeyError"), KeyError()) is None


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 12))
def test_a_piece_is_as_heavy_as_is_allowed_or_one_record(sizes: list[int], at_most: int) -> None:
    records = [At(at, bytes(size * BYTES_AN_EVENT)) for at, size in enumerate(sizes)]
    weighed = list(pieces(records, None, at_most))  # type: ignore[arg-type]
    found: list[list[Any]] = [list(piece) for _, piece in weighed]
    assert [*chain.from_iterable(found)] == records
    weights = [sum(1 + len(record.value or b"") // BYTES_AN_EVENT for record in p) for p in found]
    assert [weight for weight, _ in weighed] == weights
    assert all(w <= at_most or len(p) == 1 for w, p in zip(weights, found, strict=True))
    # None could have taken the next one's first record along.
    firsts = [1 + len(piece[0].value or b"") // BYTES_AN_EVENT for piece in found[1:]]
    assert all(w + first > at_most for w, first in zip(weights, firsts, strict=False))

"""Panes: open or packed, a pane is the sum of what was added to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cc_stream.counts import Vector, add_into
from cc_stream.pane_store import Panes, pack, unpack

KEY = 60 << 42

pane = st.integers(0, 12)
vectors = st.dictionaries(st.integers(KEY, KEY + 2), st.sampled_from((-2, -1, 1, 2)), max_size=3)
steps = st.one_of(
    st.tuples(st.just("add"), pane, vectors),
    st.tuples(st.just("fill"), pane, st.integers(0, 6), st.sampled_from((-1, 1))),
    st.tuples(st.sampled_from(("close", "close_before", "drop_before")), pane),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=30))
def test_a_pane_is_the_sum_of_what_was_added(schedule: list[tuple]) -> None:  # type: ignore[type-arg]
    panes = Panes()
    sums: dict[int, Vector] = {}
    for step, at, *values in schedule:
        if step == "add":
            panes.add(at, values[0])
            add_into(sums.setdefault(at, {}), values[0])
        elif step == "fill":
            length, n = values
            panes.fill(range(at, at + length), KEY, n)
            for one in range(at, at + length):
                add_into(sums.setdefault(one, {}), {KEY: n})
        elif step == "drop_before":
            older = {one for one in sums if one < at}
            gone = panes.drop_before(at)
            assert {one for one in older if sums[one]} <= gone <= older
            sums = {one: vector for one, vector in sums.items() if one >= at}
        elif step == "close":
            packed = panes.close(at)
            assert (unpack(packed) if packed else {}) == sums.get(at, {})
        else:
            panes.close_before(at)
    there = {at: vector for at, vector in sums.items() if vector}
    assert dict(panes.items()) == there
    assert there.keys() <= set(panes)
    for first in range(13):
        vectors_of = [there[at] for at in range(first, first + 5) if at in there]
        assert sorted(map(str, panes.between(first, first + 5))) == sorted(map(str, vectors_of))


def test_stored_panes_are_put_back_in_any_order() -> None:
    panes = Panes()
    for at in (7, 3, 5):
        panes.put(at, pack({KEY: at}))
    panes.add(5, {KEY: -5, KEY + 1: 1})
    assert dict(panes.items()) == {3: {KEY: 3}, 7: {KEY: 7}, 5: {KEY + 1: 1}}
    assert panes.close(5) == pack({KEY + 1: 1})

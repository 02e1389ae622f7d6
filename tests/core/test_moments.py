"""What is kept in order is read as what is sorted for each reading."""

from hypothesis import given
from hypothesis import strategies as st

from cc_stream.counts import BUCKET_BITS, Ordered, Parts, Vector, add_into_parts
from cc_stream.moments import MANY, Moments, keep_in_order

MOMENTS = st.integers(0, 300)
CHANGES = st.lists(st.tuples(MOMENTS, st.sampled_from([1, 1, 2, -1])), min_size=1, max_size=400)
SLOT = 61


def add_open(opened: Parts, change: Vector) -> None:
    add_into_parts(opened, change)
    keep_in_order(opened)


@given(CHANGES, st.lists(MOMENTS, min_size=3, max_size=3), st.integers(0, 400))
def test_whatever_comes_and_goes_it_is_read_as_the_same_sorted(
    changes: list[tuple[int, int]], edges: list[int], age: int
) -> None:
    kept, plain = Moments({}), dict[int, int]()
    for moment, n in changes:
        for total in (kept, plain):
            after = total.get(moment, 0) + n
            if after:
                total[moment] = after
            else:
                del total[moment]
    ordered = Ordered(plain)
    assert kept == plain
    assert (kept.buckets, kept.count) == (ordered.buckets, ordered.count)
    start, moment, end = sorted(edges)
    assert kept.before(moment) == ordered.before(moment)
    assert kept.since(moment) == ordered.since(moment)
    assert kept.first_since(moment) == ordered.first_since(moment)
    assert kept.overlap(start, end, age) == ordered.overlap(start, end, age)


@given(CHANGES)
def test_what_is_open_adds_up_as_everything_does(changes: list[tuple[int, int]]) -> None:
    opened: Parts = {}
    total: Parts = {}
    for moment, n in changes:
        change = {SLOT << BUCKET_BITS | moment: n, 40 << BUCKET_BITS: n}
        add_open(opened, change)
        add_into_parts(total, change)
        assert opened == total


def test_many_are_kept_in_order_and_stay_so() -> None:
    opened: Parts = {}
    for moment in range(MANY + 1):
        assert type(opened.get(SLOT)) is not Moments, "few are not"
        add_open(opened, {SLOT << BUCKET_BITS | moment: 1})
    many = opened[SLOT]
    assert type(many) is Moments
    for moment in range(MANY):
        add_open(opened, {SLOT << BUCKET_BITS | moment: -1})
    assert opened == {SLOT: {MANY: 1}}
    assert opened[SLOT] is many
    add_open(opened, {SLOT << BUCKET_BITS | MANY: -1})
    assert not opened

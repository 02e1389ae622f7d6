"""What is read from sorted buckets equals the plain sums over all of them."""

from hypothesis import given
from hypothesis import strategies as st

from cc_stream.counts import Ordered
from cc_stream.metrics.metric import Figures
from cc_stream.metrics.waiting import WAITING
from cc_stream.moments import Moments
from cc_stream.panes import Window

edges = st.integers(-20, 120)
histograms = st.dictionaries(st.integers(0, 100), st.integers(1, 5), max_size=12)


@given(histograms, edges, edges, st.integers(1, 80))
def test_counts_and_overlaps(histogram: dict[int, int], first: int, end: int, age: int) -> None:
    ordered, entries = Ordered(histogram), histogram.items()
    assert ordered.count == sum(histogram.values())
    assert ordered.before(first) == sum(n for bucket, n in entries if bucket < first)
    assert ordered.since(first) == sum(n for bucket, n in entries if bucket >= first)
    assert ordered.upto(first + 0.5) == sum(n for bucket, n in entries if bucket <= first)
    assert ordered.first_since(first) == min((b for b in histogram if b >= first), default=None)
    if first < end:
        window = Window(first, end)
        overlap = sum(n * window.overlap_ms(begin, begin + age) for begin, n in entries)
        assert ordered.overlap(first, end, age) == overlap


@given(histograms, edges, edges)
def test_what_is_open_since(histogram: dict[int, int], first: int, end: int) -> None:
    entries = histogram.items()
    for kept in (histogram, Moments(histogram)):
        live = {WAITING.number: kept} if histogram else {}
        figures = Figures("queue", Window(0, 1), 0, {}, live)
        since = sum(n for since, n in entries if since >= first)
        assert figures.open_since(WAITING, first) == since
        between = sum(n for since, n in entries if first <= since < end)
        assert figures.open_between(WAITING, first, end) == between
        assert figures.live(WAITING).count == sum(histogram.values())


@given(histograms, st.sampled_from((0.01, 0.25, 0.5, 0.9, 0.95, 1.0)))
def test_percentiles_are_nearest_ranks(histogram: dict[int, int], share: float) -> None:
    every = sorted(bucket for bucket, n in histogram.items() for _ in range(n))
    reached = (b for at, b in enumerate(every, start=1) if at >= share * len(every))
    assert Ordered(histogram).percentile(share) == next(reached, None)

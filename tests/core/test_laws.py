"""Laws of the core: what is sent on is always the definition, whatever the order of arrival."""

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from cc_stream import agent as agent_log
from cc_stream import contact as contact_story
from cc_stream.admit import Admitted, Ledger, Limits, Verdict, admit_agent, admit_call
from cc_stream.contact_log import Contact, pack, unpack
from cc_stream.contact_record import contact_record
from cc_stream.counts import BUCKET_BITS, add_into, join, parts, total_of
from cc_stream.events import Event, Refused
from cc_stream.facts import Fact
from cc_stream.panes import (
    COARSE_MS,
    FINE_MS,
    ROLLING,
    Window,
    fine_pane,
    pane_end,
    rolling,
)
from cc_stream.report.collect import Collected, Reader, collect_events, facts
from cc_stream.segment import segment_facts
from tests.core.events_of import (
    AGENT,
    BEGIN_MS,
    CONTACT,
    agent_feeds,
    contact_feeds,
    lives,
    snapshot_at,
    state_at,
    state_feeds,
)

FILE = Limits(grace_ms=None)
SHORT = Limits(grace_ms=20_000, future_ms=1 << 50)
LOG = ("default", CONTACT)
Admit = Callable[[Ledger, Event], Verdict]
shuffles = st.randoms(use_true_random=False)


class Sum:
    """What a stream that only ever sees changes has counted."""

    def __init__(self, admit: Admit, limits: Limits = FILE) -> None:
        self.admit, self.ledger = admit, Ledger(limits)
        self.counted: Counter[Fact] = Counter()

    def feed(self, events: list[Event]) -> "Sum":
        for event in events:
            verdict = self.admit(self.ledger, event)
            if isinstance(verdict, Admitted):
                self.counted.update(verdict.change.added)
                self.counted.subtract(verdict.change.taken_back)
        return self

    @property
    def facts(self) -> Counter[Fact]:
        """Without zeros; what was taken back more often than added stays visible."""
        return Counter({fact: n for fact, n in self.counted.items() if n})


def rough(feed: list[Event], rnd: random.Random) -> list[Event]:
    """The feed in another order, some of it twice."""
    events = feed + [event for event in feed if rnd.random() < 0.3]
    rnd.shuffle(events)
    return events


def sorted_by_time(feed: list[Event]) -> list[Event]:
    return sorted(feed, key=lambda event: event.time)


def call(ledger: Ledger, event: Event) -> Verdict:
    return admit_call(ledger, event)


def state(ledger: Ledger, event: Event) -> Verdict:
    return admit_agent(ledger, event)


@given(contact_feeds, shuffles)
@settings(max_examples=300)
def test_changes_of_a_contact_sum_to_its_contributions(
    feed: list[Event], rnd: random.Random
) -> None:
    line = Sum(call).feed(rough(feed, rnd))
    contact = line.ledger.opened(LOG)
    entries = contact.entries if contact is not None else []
    assert line.facts == Counter(contact_story.contributions(entries))


@given(st.one_of(lives, contact_feeds.map(sorted_by_time)))
@settings(max_examples=400)
def test_every_single_change_is_the_difference_of_the_contributions(feed: list[Event]) -> None:
    line = Sum(call)
    for event in feed:
        contact = line.feed([event]).ledger.opened(LOG)
        entries = contact.entries if contact is not None else []
        assert line.facts == Counter(contact_story.contributions(entries))
        if contact is not None:
            assert [s.facts for s in contact.story.segments] == [
                segment_facts(s) for s in contact_story.read(entries).segments
            ]


@given(contact_feeds, shuffles)
@settings(max_examples=200)
def test_the_order_of_arrival_changes_nothing(feed: list[Event], rnd: random.Random) -> None:
    first, second = Sum(call).feed(rough(feed, rnd)), Sum(call).feed(rough(feed, rnd))
    assert first.facts == second.facts
    one, other = first.ledger.opened(LOG), second.ledger.opened(LOG)
    if one is not None and other is not None:
        assert contact_record(*LOG, one) == contact_record(*LOG, other)


@given(contact_feeds, shuffles)
def test_a_packed_contact_is_the_same_contact(feed: list[Event], rnd: random.Random) -> None:
    contact = Sum(call).feed(rough(feed, rnd)).ledger.opened(LOG)
    if contact is not None:
        again = unpack(pack(contact))
        assert pack(again) == pack(contact) == pack(Contact(contact.source, contact.entries))
        assert (again.source, again.entries) == (contact.source, contact.entries)
        assert contact_story.facts_of(again.story) == contact_story.facts_of(contact.story)
        assert contact_record(*LOG, again) == contact_record(*LOG, contact)


@given(contact_feeds, shuffles, st.integers(0, 14))
def test_a_contact_that_was_packed_goes_on_as_before(
    feed: list[Event], rnd: random.Random, at: int
) -> None:
    events = rough(feed, rnd)
    line = Sum(call).feed(events[:at])
    contact = line.ledger.opened(LOG)
    if contact is not None:
        line.ledger.contacts[LOG] = pack(contact)
    assert line.feed(events[at:]).facts == Sum(call).feed(events).facts


@given(agent_feeds, shuffles)
@settings(max_examples=300)
def test_changes_of_an_agent_sum_to_the_contributions(
    feed: list[Event], rnd: random.Random
) -> None:
    line = Sum(state).feed(rough(feed, rnd))
    agent = line.ledger.agents.get(("default", AGENT))
    entries = agent.entries if agent is not None else []
    assert line.facts == Counter(agent_log.contributions(AGENT, entries))


@given(state_feeds, shuffles)
@settings(max_examples=200)
def test_the_order_of_states_changes_nothing(feed: list[Event], rnd: random.Random) -> None:
    # Of snapshots it does: one that tells nothing new is not kept.
    assert Sum(state).feed(rough(feed, rnd)).facts == Sum(state).feed(rough(feed, rnd)).facts


@given(agent_feeds, shuffles)
@settings(max_examples=300)
def test_what_an_agent_forgets_stays_counted(feed: list[Event], rnd: random.Random) -> None:
    assert_forgotten_stays_counted(rough(feed, rnd))


def assert_forgotten_stays_counted(events: list[Event]) -> None:
    into = Collected(SHORT)
    reader = Reader(into)
    for event in events:
        reader.take_agent(event)
    known = Counter(fact for _, fact in facts(into))
    assert Sum(state, SHORT).feed(events).facts == known


def test_the_first_state_that_may_be_revised_goes_on_the_one_before_it() -> None:
    assert_forgotten_stays_counted(
        [
            state_at(0, "1", "available"),
            snapshot_at(22_500, "0", "break"),  # counts from 2.5 s on, the oldest moment
            snapshot_at(22_500, "0", "available", revision=1),
        ]
    )


def test_what_one_source_made_forgotten_another_cannot_revise() -> None:
    line = [
        state_at(0, "1", "available", source="/other"),
        state_at(2_500, "0", "break", source="/other"),
        state_at(60_000, "2", "ringing"),
        state_at(2_500, "0", "available", revision=1, source="/other"),
    ]
    assert_forgotten_stays_counted(line)
    ledger = Ledger(SHORT)
    *_, verdict = [state(ledger, event) for event in line]
    assert isinstance(verdict, Refused)
    assert verdict.rule == "late"


def test_an_old_snapshot_of_another_source_says_nothing_of_later() -> None:
    ledger = Ledger(SHORT)
    for ms, told in [(0, "offline"), (30_000, "available"), (60_000, "ringing")]:
        state(ledger, state_at(ms, told, told))
    verdict = state(ledger, snapshot_at(20_000, "4", "break", source="/other"))
    assert isinstance(verdict, Refused)
    assert verdict.rule == "late"


@given(state_feeds, shuffles, st.integers(-5_000, 110_000))
def test_the_state_in_force_is_that_of_the_whole_timeline(
    feed: list[Event], rnd: random.Random, after_ms: int
) -> None:
    agent = Sum(state).feed(rough(feed, rnd)).ledger.agents.get(("default", AGENT))
    if agent is not None:
        whole = [
            s for s in agent_log.spans(agent.entries) if s.entry.time_ms <= BEGIN_MS + after_ms
        ]
        in_force = agent.at(BEGIN_MS + after_ms)
        assert (in_force and in_force.entry.state) == (whole[-1].entry.state if whole else None)


@given(contact_feeds, agent_feeds, shuffles)
def test_a_file_may_be_in_any_order(
    calls: list[Event], states: list[Event], rnd: random.Random
) -> None:
    first = collect_events(rough(calls + states, rnd))
    second = collect_events(rough(calls + states, rnd))
    assert Counter(facts(first)) == Counter(facts(second))


vectors = st.dictionaries(
    st.integers(0, 80).flatmap(
        lambda slot: st.sampled_from([0, 1, 17, BEGIN_MS]).map(lambda b: slot << BUCKET_BITS | b)
    ),
    st.integers(-1_000, 1_000).filter(bool),
    max_size=6,
)


@given(vectors, vectors, vectors)
def test_vectors_are_a_commutative_group(
    a: dict[int, int], b: dict[int, int], c: dict[int, int]
) -> None:
    assert total_of([a, b]) == total_of([b, a])
    assert total_of([total_of([a, b]), c]) == total_of([a, total_of([b, c])])
    assert total_of([a, {}]) == a
    back = total_of([a, b])
    add_into(back, b, -1)
    assert back == a
    assert all(total_of([a, b, c]).values())


@given(vectors)
def test_join_is_the_inverse_of_parts(vector: dict[int, int]) -> None:
    assert join(parts(vector)) == vector


@given(st.integers(BEGIN_MS, BEGIN_MS + 10**9), st.integers(0, 4 * COARSE_MS))
def test_panes_partition_a_rolling_window(now_ms: int, before_ms: int) -> None:
    moment = now_ms - before_ms
    for length_ms in ROLLING.values():
        window = rolling(length_ms, now_ms)
        assert window.start_ms < now_ms <= window.end_ms == pane_end(now_ms)
        panes = range(window.start_ms // FINE_MS, window.end_ms // FINE_MS)
        assert window.holds(moment) == (fine_pane(moment) in panes)
        assert sum(pane * FINE_MS <= moment < (pane + 1) * FINE_MS for pane in panes) == (
            window.holds(moment)
        )


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_the_overlaps_with_a_cut_window_are_the_overlap(
    start: int, length: int, begin: int, span: int
) -> None:
    middle = start + length
    left, right = Window(start, middle), Window(middle, middle + length)
    whole = Window(start, middle + length)
    end = begin + span
    assert left.overlap_ms(begin, end) + right.overlap_ms(begin, end) == whole.overlap_ms(
        begin, end
    )

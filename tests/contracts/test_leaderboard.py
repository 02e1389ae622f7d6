"""Leaderboards: the order of rates and counts, ties, samples, and parts put together."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cc_stream.leaderboard import (
    BY_NAME,
    LEADERBOARDS,
    NOT_RANKED_YET,
    Candidate,
    Leaderboard,
    LeaderboardSpec,
    Standing,
    merged,
    ranked,
    standings,
    wilson,
)
from cc_stream.metrics.conversion import CONVERTED, ELIGIBLE
from cc_stream.metrics.handled import HANDLE_TIMES, HANDLED
from cc_stream.metrics.metric import Figures
from cc_stream.panes import Window
from cc_stream.reference import Terms

HOUR = 3_600_000
CONVERSION, COUNT, HANDLE_TIME = (
    BY_NAME[name] for name in ("conversion", "handled", "handle_time")
)


def agent(
    name: str,
    converted: int = 0,
    eligible: int = 0,
    times: dict[int, int] | None = None,
    team: str = "t",
) -> Candidate:
    times = times or {}
    parts = {
        ELIGIBLE.number: {0: eligible},
        CONVERTED.number: {0: converted},
        HANDLED.number: {0: sum(times.values())},
        HANDLE_TIMES.number: times,
    }
    terms = Terms(handle_time_band_seconds=(60, 600))
    return Candidate(name, team, Figures("agent", Window(0, HOUR), HOUR, parts, {}, terms))


def board(rows: list[Standing], part: int | None = None, start_ms: int = 0) -> Leaderboard:
    return Leaderboard(
        tenant="acme",
        scope="floor",
        scope_id="floor",
        name="conversion",
        window="60m",
        start_ms=start_ms,
        end_ms=start_ms + HOUR,
        as_of_ms=start_ms + HOUR,
        data_as_of_ms=start_ms,
        order=f"{start_ms:015d}",
        standings=tuple(rows),
        part=part,
    )


@pytest.mark.parametrize(
    ("successes", "trials", "low"),
    [(1, 1, 0.206549), (9, 10, 0.595850), (90, 100, 0.825634), (30, 200, 0.107136), (0, 5, 0.0)],
)
def test_wilson_lower_bound_95(successes: int, trials: int, low: float) -> None:
    assert wilson(successes, trials)[0] == pytest.approx(low, abs=5e-7)


def test_wilson_is_symmetric_and_stays_within_0_and_1() -> None:
    for trials in range(1, 30):
        for successes in range(trials + 1):
            low, high = wilson(successes, trials)
            assert 0 <= low <= successes / trials <= high <= 1
            assert low == pytest.approx(1 - wilson(trials - successes, trials)[1])
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_rate_is_ranked_by_what_is_certain_of_it() -> None:
    rows = standings(CONVERSION, [agent("lucky", 10, 10), agent("steady", 90, 100)])
    assert [(r.agent, r.rank, r.value, r.sample) for r in rows] == [
        ("steady", 1, 0.9, 100),
        ("lucky", 2, 1.0, 10),
    ]
    assert rows[0].score == pytest.approx(0.825634, abs=5e-7)


def test_a_small_sample_is_listed_last_and_not_ranked() -> None:
    candidates = [agent("few", 9, 9), agent("none"), agent("enough", 0, 10), agent("some", 1, 9)]
    rows = standings(CONVERSION, candidates)
    assert [(r.agent, r.ranked, r.rank, r.tie_group, r.reason) for r in rows] == [
        ("enough", True, 1, 1, None),
        ("few", False, None, None, NOT_RANKED_YET),
        ("some", False, None, None, NOT_RANKED_YET),
        ("none", False, None, None, NOT_RANKED_YET),
    ]
    assert rows[-1].value is None
    assert [r.ranked for r in standings(CONVERSION, candidates, minimum_sample=9)] == [
        True,
        True,
        True,
        False,
    ]


def test_equal_scores_have_equal_ranks_and_the_next_one_is_counted_on() -> None:
    rows = standings(
        COUNT, [agent(n, times={100: k}) for n, k in {"d": 12, "c": 20, "b": 30, "a": 20}.items()]
    )
    assert [(r.agent, r.rank, r.score, r.tie_group) for r in rows] == [
        ("b", 1, 30.0, 1),
        ("a", 2, 20.0, 2),
        ("c", 2, 20.0, 2),
        ("d", 4, 12.0, 4),
    ]


def test_who_cannot_be_told_apart_from_the_leader_of_a_group_is_in_it() -> None:
    shares = {"a": (90, 100), "b": (88, 100), "c": (60, 100), "d": (55, 100), "e": (8, 100)}
    rows = standings(CONVERSION, [agent(name, *share) for name, share in shares.items()])
    assert [(r.agent, r.rank, r.tie_group) for r in rows] == [
        ("a", 1, 1),
        ("b", 2, 1),
        ("c", 3, 3),
        ("d", 4, 3),
        ("e", 5, 5),
    ]
    # The same shares of ten times as many are told apart.
    many = [agent(n, 10 * s[0], 10 * s[1]) for n, s in shares.items()]
    assert len({r.tie_group for r in standings(CONVERSION, many)}) > 3


def test_handle_time_is_a_band_and_quicker_is_not_better() -> None:
    rows = standings(
        HANDLE_TIME,
        [
            agent("quick", times={30: 100}),
            agent("slow", times={601: 100}),
            agent("within", times={60: 50, 600: 40, 601: 5, 59: 5}),
        ],
    )
    assert [(r.agent, r.value, r.rank) for r in rows] == [
        ("within", 0.9, 1),
        ("quick", 0.0, 2),
        ("slow", 0.0, 2),
    ]


def test_an_agent_of_two_teams_has_a_row_in_each() -> None:
    rows = standings(COUNT, [agent("a", times={9: 11}, team=t) for t in ("u", "t")])
    assert [(r.agent, r.team, r.rank) for r in rows] == [("a", "t", 1), ("a", "u", 1)]


@pytest.mark.parametrize("spec", LEADERBOARDS, ids=lambda spec: spec.name)
def test_the_order_of_candidates_does_not_matter(spec: LeaderboardSpec) -> None:
    candidates = [
        agent(n, k, 20 + k, {100: 15 + k % 2}) for n, k in {"a": 9, "b": 9, "c": 3, "d": 7}.items()
    ]
    boards = {tuple(standings(spec, order)) for order in permutations(candidates)}
    assert len(boards) == 1


def test_parts_put_together_are_the_board_of_all() -> None:
    candidates = [agent(f"a{n}", n * 7 % 20, 20 + n % 3) for n in range(40)]
    everyone = standings(CONVERSION, candidates)
    parts = [board(standings(CONVERSION, candidates[n::3])[:10], part=n) for n in range(3)]
    whole = merged(CONVERSION, parts)
    assert whole.part is None
    assert whole.standings[:10] == tuple(everyone[:10])
    assert ranked(CONVERSION, whole.standings) == list(whole.standings)


def test_a_part_that_was_left_behind_is_left_out() -> None:
    old = board(standings(CONVERSION, [agent("gone", 19, 20)]), part=0)
    overlapping = board(standings(CONVERSION, [agent("slow", 10, 20)]), part=1, start_ms=HOUR // 2)
    new = board(standings(CONVERSION, [agent("here", 15, 20)]), part=2, start_ms=HOUR)
    whole = merged(CONVERSION, [old, new, overlapping])
    assert [row.agent for row in whole.standings] == ["here", "slow"]
    assert (whole.start_ms, whole.order) == (HOUR, new.order)
    with pytest.raises(ValueError, match="at least one part"):
        merged(CONVERSION, [])


def test_specs_have_a_name_of_their_own_and_words() -> None:
    assert len(BY_NAME) == len(LEADERBOARDS)
    assert all(spec.help and spec.minimum_sample == 10 for spec in LEADERBOARDS)
    assert replace(COUNT, name="x").name == "x"


rows_of = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 12), st.integers(0, 12)), max_size=12
)


@given(rows_of, st.integers(1, 6))
def test_the_first_rows_need_no_others(drawn: list[tuple[str, int, int]], size: int) -> None:
    candidates = [
        agent(name, min(some, every), every, team=str(team))
        for team, (name, some, every) in enumerate(drawn)
    ]
    rows = standings(CONVERSION, candidates, 3)
    assert ranked(CONVERSION, reversed(rows), size) == rows[:size]

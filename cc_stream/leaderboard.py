"""Leaderboards: agents of a team or of the floor in the order of one figure (METRICS section 6).

A rate is ranked by the lower bound of its Wilson interval, so one lucky contact beats nobody; a
count is ranked by itself. Too small a sample is listed and not ranked. Equal score, equal rank
(1, 1, 3). Those who cannot be told apart from the one who leads their group share a tie group.

Everything here follows from the rows given: a board may be cut after its first rows, and boards of
several shards may be put together and ranked again (`ranked`), with the same outcome.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from math import sqrt
from typing import Final, Literal

from msgspec import Struct

from cc_stream.metrics.conversion import CONVERTED, ELIGIBLE
from cc_stream.metrics.handled import HANDLED, handle_times
from cc_stream.metrics.metric import Figures

Scope = Literal["team", "floor"]

MINIMUM_SAMPLE: Final = 10
NOT_RANKED_YET: Final = "not ranked yet"
Z_95: Final = 1.959963984540054
"""The two-sided 95 % quantile of the normal distribution."""


class Candidate(Struct, frozen=True):
    """An agent in a team, with the agent's figures over the board's window."""

    agent: str
    team: str
    figures: Figures


class Standing(Struct, frozen=True):
    """One row of a board.

    `value` is what is shown: a share 0…1, or a count; None without a sample. `score` is what it is
    ranked by. `sample` counts what the value is made of. `rank` and `tie_group` (the rank of the
    one who leads it) are None, and `reason` says why, where the row is not ranked.
    """

    agent: str
    team: str
    rank: int | None
    score: float
    value: float | None
    sample: int
    tie_group: int | None
    ranked: bool
    reason: str | None = None


Place = tuple[bool, float, str, str]
"""What rows are ordered by; see `place_of`."""


class LeaderboardSpec(Struct, frozen=True):
    """One board: its name, and how an agent's figures are read.

    `read` gives (successes, trials) of a rate, or (n, n) of a count.
    """

    name: str
    kind: Literal["rate", "count"]
    read: Callable[[Figures], tuple[int, int]]
    help: str
    minimum_sample: int = MINIMUM_SAMPLE


class Leaderboard(Struct, frozen=True):
    """A board as it leaves: standings of a scope over a window, best first.

    `part`: a floor board holds the agents of one board shard; its ranks are those within the part
    until a reader has put the parts together. None for a team's board, and for one put together.
    `order` is as for a view.
    """

    tenant: str
    scope: Scope
    scope_id: str
    name: str
    window: str
    start_ms: int
    end_ms: int
    as_of_ms: int
    data_as_of_ms: int
    order: str
    standings: tuple[Standing, ...]
    part: int | None = None


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share; (0, 1) without trials.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, z * z
    centre = share + z2 / (2 * trials)
    spread = z * sqrt((share * (1 - share) + z2 / (4 * trials)) / trials)
    scale = 1 + z2 / trials
    # At the ends the bounds are exactly 0 and 1, which floats miss by a hair.
    low = (centre - spread) / scale if successes else 0.0
    return low, (centre + spread) / scale if successes < trials else 1.0


def standings(
    spec: LeaderboardSpec, candidates: Iterable[Candidate], minimum_sample: int | None = None
) -> list[Standing]:
    """Rows best first, equal ones by agent and team; those not ranked last, largest sample first.

    `minimum_sample` takes the place of the board's own.
    """
    least = spec.minimum_sample if minimum_sample is None else minimum_sample
    return ranked(spec, [standing(spec, candidate, least) for candidate in candidates])


def ranked(
    spec: LeaderboardSpec, rows: Iterable[Standing], size: int | None = None
) -> list[Standing]:
    """The same rows in order, with ranks and tie groups over all of them; the first `size`.

    Nothing about a row depends on those behind it.
    """
    every = list(rows)
    best = nsmallest(len(every) if size is None else size, every, place_of)
    able = [row for row in best if row.ranked]
    out: list[Standing] = []
    leader: Standing | None = None
    for place, row in enumerate(able, start=1):
        tied = bool(out) and row.score == out[-1].score
        rank = out[-1].rank if tied else place
        if leader is None or not _alike(spec, leader, row):
            leader = row
            group = rank
        out.append(_placed(row, rank, group))
    return out + [_placed(row, None, None) for row in best[len(able) :]]


def place_of(row: Standing) -> Place:
    """Where a row stands: the least is the best, and no two of a board are equal."""
    return not row.ranked, -row.score if row.ranked else -row.sample, row.agent, row.team


def merged(spec: LeaderboardSpec, parts: Sequence[Leaderboard]) -> Leaderboard:
    """One board out of the parts of the floor, ranked over all of them; ValueError without parts.

    A part whose window does not overlap the newest one's is left out: it was left behind by a shard
    that stopped, and what it counts has left the window (yesterday's part of today).
    """
    if not parts:
        raise ValueError("a board needs at least one part")
    newest = max(parts, key=lambda board: (board.end_ms, board.as_of_ms, board.order))
    current = [board for board in parts if board.end_ms > newest.start_ms]
    return Leaderboard(
        newest.tenant,
        newest.scope,
        newest.scope_id,
        newest.name,
        newest.window,
        newest.start_ms,
        newest.end_ms,
        max(board.as_of_ms for board in current),
        max(board.data_as_of_ms for board in current),
        max(board.order for board in current),
        tuple(ranked(spec, (row for board in current for row in board.standings))),
    )


def standing(spec: LeaderboardSpec, candidate: Candidate, minimum_sample: int) -> Standing:
    """A candidate's row, not ranked yet among others."""
    part, sample = spec.read(candidate.figures)
    if spec.kind == "rate":
        score = wilson(part, sample)[0]
        value = part / sample if sample else None
    else:
        score = value = float(part)
    able = sample >= minimum_sample
    reason = None if able else NOT_RANKED_YET
    return Standing(candidate.agent, candidate.team, None, score, value, sample, None, able, reason)


def _placed(row: Standing, rank: int | None, group: int | None) -> Standing:
    return Standing(
        row.agent,
        row.team,
        rank,
        row.score,
        row.value,
        row.sample,
        group,
        row.ranked,
        row.reason,
    )


def _alike(spec: LeaderboardSpec, leader: Standing, row: Standing) -> bool:
    """Whether the difference of two rows lies within its uncertainty.

    For rates by Newcombe's hybrid score interval of a difference (1998, "Interval estimation for
    the difference between independent proportions", method 10). A count is what happened: it has
    no uncertainty, so only equal ones are alike.
    """
    if leader.score == row.score:
        return True
    if spec.kind == "count" or leader.value is None or row.value is None:
        return False
    low = wilson(round(leader.value * leader.sample), leader.sample)[0]
    high = wilson(round(row.value * row.sample), row.sample)[1]
    spread = sqrt((leader.value - low) ** 2 + (high - row.value) ** 2)
    return leader.value - row.value <= spread


def _conversion(figures: Figures) -> tuple[int, int]:
    return figures.count(CONVERTED), figures.count(ELIGIBLE)


def _handled(figures: Figures) -> tuple[int, int]:
    handled = figures.count(HANDLED)
    return handled, handled


def _in_band(figures: Figures) -> tuple[int, int]:
    """Handled within the band, both ends included: too quick is no better than too slow."""
    low, high = figures.terms.handle_time_band_seconds
    times = handle_times(figures)
    return times.upto(high) - times.before(low), times.count


LEADERBOARDS: Final[tuple[LeaderboardSpec, ...]] = (
    LeaderboardSpec("conversion", "rate", _conversion, "Share of eligible contacts converted"),
    LeaderboardSpec("handled", "count", _handled, "Contacts completed"),
    LeaderboardSpec(
        "handle_time", "rate", _in_band, "Share of contacts with a handle time within the band"
    ),
)
BY_NAME: Final = {spec.name: spec for spec in LEADERBOARDS}
LEADERBOARD_WINDOWS: Final = ("today", "60m")

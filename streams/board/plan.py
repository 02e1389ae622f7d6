"""What a board shard needs to know of the installation."""

from msgspec import Struct

from cc_stream.alerts import AlertLevels
from cc_stream.config import Settings
from cc_stream.installation import terms_of_settings
from cc_stream.reference import Terms
from cc_stream.topics import Topics


class BoardPlan(Struct, frozen=True):
    """`commit_ms`: a dirty board shard commits so often."""

    topics: Topics
    terms: Terms
    levels: AlertLevels
    agent_window: str
    minimum_sample: int
    leaderboard_size: int
    commit_ms: int


def board_plan(settings: Settings, topics: Topics) -> BoardPlan:
    """The one that the settings ask for."""
    return BoardPlan(
        topics=topics,
        terms=terms_of_settings(settings),
        levels=AlertLevels(
            waiting_now=settings.alert_waiting_now,
            longest_wait_seconds=settings.alert_longest_wait_seconds,
            service_level_live=settings.alert_service_level_live,
            minimum_sample=settings.alert_minimum_sample,
        ),
        agent_window=settings.agent_window,
        minimum_sample=settings.leaderboard_minimum_sample,
        leaderboard_size=settings.leaderboard_size,
        commit_ms=round(settings.board_commit_seconds * 1_000),
    )

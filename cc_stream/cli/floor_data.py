"""What the live screen shows, as plain values: filled by `live`, drawn by `screen`."""

from typing import Final

from msgspec import Struct

STALE_AFTER_MS: Final = 5_000
"""Figures older than this are shown as stale."""
SILENT_AFTER_MS: Final = 60_000
"""A floor without an event for so long is shown as silent: it only looks calm."""


class QueueLine(Struct, frozen=True, kw_only=True):
    """One queue. Service levels are 0…1; a figure without a value is None. Counts are of today."""

    name: str
    waiting_now: int = 0
    oldest_queued_at_ms: int | None = None
    service_level_15m: float | None = None
    service_level_today: float | None = None
    service_level_seconds: int = 20
    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    agents_available: int | None = None


class TeamLine(Struct, frozen=True, kw_only=True):
    """One team, today. `agents` is a count by state."""

    name: str
    agents: dict[str, int] = {}
    handled: int = 0
    handle_time_mean_seconds: float | None = None
    occupancy: float | None = None
    conversion: float | None = None
    eligible: int = 0


class AgentLine(Struct, frozen=True, kw_only=True):
    """One row of the board of agents by conversion. Equal scores have equal ranks."""

    rank: int
    name: str
    team: str
    conversion: float | None = None
    converted: int = 0
    eligible: int = 0


class AlertLine(Struct, frozen=True, kw_only=True):
    """One alert that is raised now."""

    subject: str
    text: str
    raised_at_ms: int
    severity: str = "warning"


class Flow(Struct, frozen=True, kw_only=True):
    """How the line itself is doing; None where no worker told."""

    events_per_second: float | None = None
    delay_p50_seconds: float | None = None
    delay_p99_seconds: float | None = None
    lag_records: int | None = None
    dead_letters: int = 0


class FloorData(Struct, frozen=True, kw_only=True):
    """One screen.

    `as_of_ms`: the oldest moment that any shard's figures were read at; `data_as_of_ms`: the latest
    event in them; both None before there are any. `addresses`: name and where.
    """

    title: str = "floor"
    timezone: str = "UTC"
    as_of_ms: int | None = None
    data_as_of_ms: int | None = None
    floor: QueueLine = QueueLine(name="all queues")
    queues: tuple[QueueLine, ...] = ()
    teams: tuple[TeamLine, ...] = ()
    agents: tuple[AgentLine, ...] = ()
    unranked: int = 0
    """Agents with too few contacts to be ranked yet."""
    alerts: tuple[AlertLine, ...] = ()
    flow: Flow = Flow()
    addresses: tuple[tuple[str, str], ...] = ()
    note: str = ""
    """One line of the caller's own, such as how far the history is written."""

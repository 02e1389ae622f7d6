"""Fills the live screen from Redis and, where it can be reached, a worker's `/metrics`."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from cc_stream.cli.floor_data import (
    AgentLine,
    AlertLine,
    FloorData,
    Flow,
    QueueLine,
    TeamLine,
)
from cc_stream.cli.scrape import Scrape, quantile, scrape, since
from cc_stream.events import to_ms
from cc_stream.installation import terms_of_settings
from cc_stream.panes import TODAY
from cc_stream.sinks.reader import Reader, floor_views
from cc_stream.sinks.sink import ShardStatus, SinkUnavailable
from cc_stream.view import LIVE_VIEW, Entity, View

if TYPE_CHECKING:
    from cc_stream.alerts.engine import Alert
    from cc_stream.config import Settings
    from cc_stream.leaderboard import Leaderboard, Standing

KINDS: Final = ("queue", "team", "floor")
ROLLING: Final = "15m"
BOARD: Final = "conversion"
DELAY_METRIC: Final = "cc_event_to_board_seconds"
DEAD_LETTERS_METRIC: Final = "cc_dead_letters_total"
LAG_METRIC: Final = "cc_shard_lag_records"
FLOW_MS: Final = 30_000
"""Events a second and delays are those of so long."""
LEAST_FLOW_MS: Final = 5_000
"""Shards tell what they counted about once a second: over less, a rate may be 0 or double."""

Figures = Mapping[str, Mapping[str, Any]]
"""Window name (or `live`) → figures."""


class Reading(Struct, frozen=True):
    """Counters at a moment, for what is told as a difference."""

    at_ms: int
    events: int
    delays: dict[float, float]


class Live:
    """Reads one installation again and again; use it as an async context manager."""

    def __init__(
        self,
        settings: "Settings",
        metrics_urls: Sequence[str],
        title: str,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """`names`: agent id → what is shown in its place."""
        self._settings = settings
        self._urls = tuple(metrics_urls)
        self._title = title
        self._names = names or {}
        self._readings: list[Reading] = []
        self._last = FloorData(title=title, timezone=settings.timezone)

    async def __aenter__(self) -> Self:
        """Open the connection to Redis."""
        from cc_stream.sinks import open_reader

        self._reader: Reader = open_reader(self._settings)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self._reader.close()

    async def read(self, now_ms: int) -> FloorData:
        """The screen's data now. While Redis is away the last ones, which then grow stale."""
        scraped = await asyncio.to_thread(scrape, self._urls)
        try:
            self._last = await self._read(scraped, now_ms)
        except SinkUnavailable as error:
            from msgspec.structs import replace

            self._last = replace(self._last, note=str(error))
        return self._last

    async def _read(self, scraped: Scrape, now_ms: int) -> FloorData:
        tenants = await self._reader.tenants()
        tenant = tenants[0] if tenants else "default"
        views = await self._reader.views(tenant, KINDS)
        boards = await self._reader.leaderboards(tenant)
        alerts = await self._reader.alerts(tenant)
        statuses = (await self._reader.shards()).values()
        agents, unranked = agent_lines(boards, self._names)
        figures = by_entity([*views, *floor_views(views, terms_of_settings(self._settings))])
        floor = next((e for e in figures if e.kind == "floor"), None)
        return FloorData(
            title=self._title,
            timezone=self._settings.timezone,
            as_of_ms=min((status.as_of_ms for status in statuses), default=None),
            # A shard that has seen no event says 0.
            data_as_of_ms=max((status.data_as_of_ms for status in statuses), default=0) or None,
            floor=queue_line("all queues", figures[floor]) if floor else QueueLine(name="floor"),
            queues=tuple(queue_line(e.id, figures[e]) for e in figures if e.kind == "queue"),
            teams=tuple(team_line(e.id, figures[e]) for e in figures if e.kind == "team"),
            agents=agents,
            unranked=unranked,
            alerts=tuple(map(alert_line, alerts)),
            flow=self._flow(scraped, list(statuses), now_ms),
            addresses=self._addresses(),
        )

    def _flow(self, scraped: Scrape, statuses: Sequence[ShardStatus], now_ms: int) -> Flow:
        events = sum(status.events for status in statuses)
        self._readings.append(Reading(now_ms, events, scraped.buckets(DELAY_METRIC)))
        while self._readings[0].at_ms < now_ms - FLOW_MS:
            self._readings.pop(0)
        return flow(self._readings, scraped, statuses)

    def _addresses(self) -> tuple[tuple[str, str], ...]:
        settings = self._settings
        metrics = [("metrics", url) for url in self._urls]
        return (("Kafka", settings.broker), ("Redis", settings.redis_shown), *metrics)


def flow(readings: Sequence[Reading], scraped: Scrape, statuses: Sequence[ShardStatus]) -> Flow:
    """How the line is doing, from the first to the last of the readings."""
    first, last = readings[0], readings[-1]
    span_ms = last.at_ms - first.at_ms
    events = last.events - first.events
    # A single reading tells of all that was counted so far.
    delays = since(first.delays, last.delays) if len(readings) > 1 else last.delays
    latest = max((s.delay_ms for s in statuses if s.delay_ms is not None), default=None)
    told = None if latest is None else latest / 1000
    lag = scraped.total(LAG_METRIC)
    return Flow(
        # A shard that was loaded anew counts its events from zero.
        events_per_second=1000 * events / span_ms
        if span_ms >= LEAST_FLOW_MS and events >= 0
        else None,
        delay_p50_seconds=quantile(0.5, delays) or told,
        delay_p99_seconds=quantile(0.99, delays),
        lag_records=sum(s.lag for s in statuses) if lag is None else round(lag),
        dead_letters=round(scraped.total(DEAD_LETTERS_METRIC) or 0),
    )


def by_entity(views: Iterable[View]) -> dict[Entity, Figures]:
    """Entity → window name → figures; parts of the floor are left out."""
    out: dict[Entity, dict[str, Mapping[str, Any]]] = {}
    for view in views:
        if view.part is None:
            out.setdefault(view.entity, {})[view.window] = view.metrics
    return dict(sorted(out.items(), key=lambda item: (item[0].kind, item[0].id)))


def queue_line(name: str, figures: Figures) -> QueueLine:
    """A queue, or the floor, out of its views; what is missing is not known."""
    live, rolling = figures.get(LIVE_VIEW, {}), figures.get(ROLLING, {})
    today = figures.get(TODAY, {})
    return QueueLine(
        name=name,
        waiting_now=live.get("waiting_now") or 0,
        oldest_queued_at_ms=_moment_ms(live.get("oldest_queued_at")),
        service_level_15m=rolling.get("service_level"),
        service_level_today=today.get("service_level"),
        offered=today.get("offered") or 0,
        answered=today.get("answered") or 0,
        abandoned=today.get("abandoned") or 0,
        agents_available=live.get("agents_available"),
    )


def team_line(name: str, figures: Figures) -> TeamLine:
    """A team out of its views."""
    today = figures.get(TODAY, {})
    return TeamLine(
        name=name,
        agents=figures.get(LIVE_VIEW, {}).get("agents_by_state") or {},
        handled=today.get("handled") or 0,
        handle_time_mean_seconds=today.get("handle_time_mean_seconds"),
        occupancy=figures.get(ROLLING, {}).get("occupancy"),
        conversion=today.get("conversion"),
        eligible=today.get("eligible") or 0,
    )


def agent_lines(
    boards: Iterable["Leaderboard"], names: Mapping[str, str]
) -> tuple[tuple[AgentLine, ...], int]:
    """The floor's board of today by conversion, and how many of its rows are not ranked yet."""
    for board in boards:
        if (board.scope, board.name, board.window) == ("floor", BOARD, TODAY):
            ranked = [row for row in board.standings if row.ranked]
            return tuple(_agent(row, names) for row in ranked), len(board.standings) - len(ranked)
    return (), 0


def _agent(row: "Standing", names: Mapping[str, str]) -> AgentLine:
    share = row.value or 0.0
    return AgentLine(
        rank=row.rank or 0,
        name=names.get(row.agent, row.agent),
        team=row.team,
        conversion=row.value,
        converted=round(share * row.sample),
        eligible=row.sample,
    )


def alert_line(alert: "Alert") -> AlertLine:
    """An active alert as one line."""
    return AlertLine(
        subject=alert.queue,
        text=alert.text,
        raised_at_ms=alert.raised_at_ms,
        severity=alert.severity,
    )


def _moment_ms(text: Any) -> int | None:
    return to_ms(datetime.fromisoformat(text)) if isinstance(text, str) else None

"""Reference data: who is in which team, what a queue's settings are, and from when on.

It travels in the stream as events, so every shard, replay and report meets a change at one place in
its own order. A lookup names the moment: the change with the latest `valid_from` not after it wins.
"""

from bisect import bisect_right
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from cc_stream.events import UNASSIGNED, Reference, to_ms

DEFAULT_FORMULA: Final = "abandons_negative"
FORMULA_IDS: Final = (
    "abandons_in_threshold_positive",
    "ignore_abandons",
    "abandons_negative",
    "abandons_in_threshold_ignored",
    "short_abandons_positive",
    "short_abandons_excluded",
)
"""The service level formulas that a queue may name (METRICS section 2)."""

_PREFIXES: Final = {
    "RosterUpdated": "agent",
    "QueueConfigured": "queue",
    "TargetSet": "target",
    "ScheduleSet": "schedule",
}


class Terms(Struct, frozen=True):
    """The terms under which an entity's numbers are read; durations in milliseconds."""

    service_level_seconds: int = 20
    short_abandon_seconds: int = 5
    service_level_formula: str = DEFAULT_FORMULA
    max_wait_ms: int = 4 * 3_600_000
    contact_max_age_ms: int = 4 * 3_600_000
    agent_max_age_ms: int = 16 * 3_600_000
    wrap_limit_ms: int = 60_000
    wrap_max_ms: int = 1_800_000
    timezone: str = "UTC"
    handle_time_band_seconds: tuple[int, int] = (60, 600)


DEFAULT_TERMS: Final = Terms()


CHANGES_KEPT: Final = 32
"""The latest changes of an entity: its history has to fit into one record of Kafka."""

Change = tuple[int, int, int, dict[str, Any]]
"""(valid from in ms, key, revision, fields)."""


class ReferenceData:
    """Everything known so far, by tenant, kind and entity."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str, str], list[Change]] = {}

    def learn(self, event_name: str, tenant: str, data: Reference, key: int, revision: int) -> None:
        """Take in a change; the same key again replaces it unless its revision is lower.

        `event_name` is the event's class, `key` the hash of its (source, id).
        """
        entity = (tenant, _PREFIXES[event_name], data.entity)
        changes = self._changes.get(entity, [])
        if any(c[1] == key and c[2] > revision for c in changes):
            return
        changes = [c for c in changes if c[1] != key]
        changes.append((to_ms(data.valid_from), key, revision, dict(data.fields)))
        changes.sort(key=lambda change: change[:2])
        self._changes[entity] = changes[-CHANGES_KEPT:]

    @staticmethod
    def entity_of(event: Any) -> tuple[str, str, str]:
        """(tenant, kind, entity) of a reference event."""
        return event.tenant, _PREFIXES[type(event).__name__], event.data.entity

    def fields(self, tenant: str, kind: str, entity: str, at_ms: int) -> dict[str, Any]:
        """What holds for the entity at a moment; empty when nothing is known of it."""
        changes = self._changes.get((tenant, kind, entity))
        if not changes:
            return {}
        if changes[-1][0] <= at_ms:  # mostly the latest
            return changes[-1][3]
        index = bisect_right(changes, at_ms, key=lambda change: change[0])
        return changes[index - 1][3] if index else {}

    def team(self, tenant: str, agent: str, at_ms: int) -> str:
        """The agent's team at a moment by the roster, or `unassigned`."""
        team = self.fields(tenant, "agent", agent, at_ms).get("team")
        return team if isinstance(team, str) and team else UNASSIGNED

    def queues(self, tenant: str, agent: str, at_ms: int) -> tuple[str, ...]:
        """The queues that the agent serves by the roster."""
        queues = self.fields(tenant, "agent", agent, at_ms).get("queues")
        return tuple(q for q in queues if isinstance(q, str)) if isinstance(queues, list) else ()

    def next_change_ms(self, now_ms: int) -> int | None:
        """When the next change that is known already begins to hold, after `now`; None for none."""
        starts = (change[0] for changes in self._changes.values() for change in changes)
        return min((start for start in starts if start > now_ms), default=None)

    def dump(self) -> list[tuple[str, str, str, list[Change]]]:
        """Everything, as plain values."""
        return [(*entity, changes) for entity, changes in self._changes.items()]

    def dump_one(self, entity: tuple[str, str, str]) -> list[Change]:
        """The changes of one (tenant, kind, entity), as plain values."""
        return self._changes.get(entity, [])

    def restore(self, dumped: list[Any]) -> None:
        """Take in what `dump` gave."""
        for tenant, kind, entity, changes in dumped:
            self._changes[tenant, kind, entity] = [(v, k, r, f) for v, k, r, f in changes]


def terms_of(fields: dict[str, Any], default: Terms = DEFAULT_TERMS) -> Terms:
    """The terms in a queue's or team's settings; what is absent or not allowed is default.

    Fields: `service_level_seconds`, `short_abandon_seconds`, `service_level_formula`,
    `max_wait_seconds`, `wrap_limit_seconds`, `timezone`, `handle_time_band_seconds` (two
    ascending whole numbers).
    """
    if not fields:
        return default
    given: dict[str, Any] = {}
    for name in ("service_level_seconds", "short_abandon_seconds"):
        if type(fields.get(name)) is int and fields[name] >= 0:
            given[name] = fields[name]
    for name, target in (
        ("max_wait_seconds", "max_wait_ms"),
        ("wrap_limit_seconds", "wrap_limit_ms"),
    ):
        if type(fields.get(name)) is int and fields[name] > 0:
            given[target] = fields[name] * 1000
    if fields.get("service_level_formula") in FORMULA_IDS:
        given["service_level_formula"] = fields["service_level_formula"]
    if _is_zone(fields.get("timezone")):
        given["timezone"] = fields["timezone"]
    match fields.get("handle_time_band_seconds"):
        case [low, high] if type(low) is type(high) is int and 0 <= low < high:
            given["handle_time_band_seconds"] = (low, high)
    values = {name: getattr(default, name) for name in Terms.__struct_fields__}
    return Terms(**(values | given))


def _is_zone(name: object) -> bool:
    """Whether a setting names an IANA time zone: one bad setting must not stop a board."""
    if not isinstance(name, str):
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True

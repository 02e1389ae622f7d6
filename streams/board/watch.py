"""The alerts of a board shard: evaluated on a timer, stored, and told after the commit."""

from collections.abc import Iterable
from typing import Final

from cc_stream.alerts import ALERT_WINDOW, RULES, AlertLevels, levels_of
from cc_stream.alerts.engine import START, Alert, AlertState, Watched, evaluate
from cc_stream.metrics import Figures
from cc_stream.reference import ReferenceData
from streams.board.rows import Row

EVERY_MS: Final = 1_000

Key = tuple[str, str, str]
"""(tenant, queue, rule)."""


class Watch:
    """What is remembered of every queue and rule."""

    def __init__(self, reference: ReferenceData, levels: AlertLevels) -> None:
        self.reference = reference
        self.levels = levels
        self.states: dict[Key, AlertState] = {}
        self.changed: dict[Key, Alert | None] = {}
        self.uncommitted: set[Key] = set()
        self.evaluated_at_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether the timer has run out."""
        return now_ms - self.evaluated_at_ms >= EVERY_MS

    def evaluate(self, queues: Iterable[Row], now_ms: int, *, raising: bool) -> None:
        """Look at every queue once. `raising`: see `alerts.engine.evaluate`."""
        self.evaluated_at_ms = now_ms
        for row in queues:
            watched = self._watched(row, now_ms)
            for rule in RULES:
                key = (row.entity.tenant, row.entity.id, rule.name)
                before = self.states.get(key, START)
                after, alert = evaluate(before, rule, watched, raising=raising)
                if after is not before:
                    self.states[key] = after
                    if alert is not None or self.changed.get(key) is None:
                        self.changed[key] = alert

    def _watched(self, row: Row, now_ms: int) -> Watched:
        windows, entity = row.windows, row.entity
        window, total = windows.window(ALERT_WINDOW), windows.sum(ALERT_WINDOW)
        seen = Figures("queue", window, now_ms, total, windows.live, row.terms)
        fields = self.reference.fields(entity.tenant, "queue", entity.id, now_ms)
        return Watched(entity.tenant, entity.id, seen, levels_of(fields, self.levels))

    def take_changed(self) -> dict[Key, Alert | None]:
        """What the next commit stores: by key the alert to tell afterwards, if any."""
        changed, self.changed = self.changed, {}
        self.uncommitted |= changed.keys()
        return changed

    def committed(self) -> None:
        """What was taken last is stored: it may be told."""
        self.uncommitted.clear()

    def active(self) -> list[Alert]:
        """Every alert that was raised and not cleared, and is committed."""
        return [
            state.alert
            for key, state in self.states.items()
            if state.alert is not None
            and state.alert.is_active
            and key not in self.changed
            and key not in self.uncommitted
        ]

"""What all alerts share: when one is raised, told again, and cleared.

Evaluated on a timer, so an alert is raised and cleared with no event arriving. The clock is not
asked: now is the `as_of_ms` of the figures. Everything that is remembered is in `AlertState`, which
can be written as msgpack; kept in the board's transaction, a restart neither repeats nor loses one.
"""

from hashlib import blake2b
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from cc_stream.alerts.rule import AlertLevels, Reading, Rule, Severity
from cc_stream.metrics.metric import Figures

RAISE_AFTER: Final = 2
"""So many evaluations in a row at or beyond the level raise an alert."""
CLEAR_HOLD_MS: Final = 120_000
"""An alert clears when it has been calm for so long without a break."""
COOL_DOWN_MS: Final = 300_000
"""For so long after clearing, the same rule of the same queue raises nothing."""
UPDATE_MS: Final = 30_000
"""The numbers of an active alert are told anew at most so often; a new severity at once."""


class Alert(Struct, frozen=True):
    """An alert as it leaves: an upsert by `id`. Moments are milliseconds UTC.

    `since_ms` is the first evaluation of the breach, `raised_at_ms` the one that raised it,
    `updated_at_ms` the one that this record tells of. `value` is held against `level`; `worst` is
    the worst value of its records so far. `numbers` and `text` tell of `updated_at_ms`.
    """

    id: str
    tenant: str
    queue: str
    rule: str
    change: Literal["raised", "updated", "cleared"]
    severity: Severity
    since_ms: int
    raised_at_ms: int
    updated_at_ms: int
    cleared_at_ms: int | None
    value: float | None
    worst: float
    level: float
    numbers: dict[str, Any]
    text: str

    @property
    def is_active(self) -> bool:
        """Whether it has not been cleared."""
        return self.cleared_at_ms is None


class AlertState(Struct, frozen=True):
    """What is remembered of one (tenant, queue, rule).

    `breaches` in a row since `breach_since_ms` while nothing is raised; `calm_since_ms` while an
    alert is active; `alert` is the last record: active, or the one cleared.
    """

    breaches: int = 0
    breach_since_ms: int | None = None
    calm_since_ms: int | None = None
    alert: Alert | None = None


START: Final = AlertState()


class Watched(Struct, frozen=True):
    """A queue as it is evaluated: its figures over `ALERT_WINDOW`, read now, and its levels."""

    tenant: str
    queue: str
    figures: Figures
    levels: AlertLevels


class _Seen(Struct, frozen=True):
    """A rule's look at a queue."""

    rule: Rule
    reading: Reading
    level: float | None
    now_ms: int
    raising: bool

    def breach(self) -> tuple[float, float] | None:
        """Value and level, if this is a breach."""
        value, level = self.reading.value, self.level
        if value is None or level is None or not self.rule.breaches(value, level):
            return None
        return value, level

    def is_calm(self) -> bool:
        """Nothing to judge by (no contacts, rule turned off) is calm: no alert stays for ever."""
        value, level = self.reading.value, self.level
        return value is None or level is None or self.rule.is_calm(value, level)

    def severity(self, before: Severity) -> Severity:
        value, level = self.reading.value, self.level
        if value is None or level is None:
            return before
        critical = self.rule.is_critical(value, level, before == "critical")
        if critical and not self.raising:
            return before
        return "critical" if critical else "warning"


def evaluate(
    state: AlertState, rule: Rule, watched: Watched, *, raising: bool = True
) -> tuple[AlertState, Alert | None]:
    """The state after one evaluation of one queue and rule, and the record to send, if any.

    Args:
        state: what the evaluation before left; `START` at first.
        rule: one of `RULES`.
        watched: the queue; the `as_of_ms` of its figures is now.
        raising: False while history is read or the data are stale: nothing is raised and no
            severity rises; what is active may still fall and clear.

    Returns:
        The very same `state` object when nothing changed, so that only changes are stored.
    """
    level = rule.level(watched.levels)
    reading = rule.read(watched.figures, watched.levels)
    seen = _Seen(rule, reading, level, watched.figures.as_of_ms, raising)
    if state.alert is not None and state.alert.is_active:
        return _follow(state, state.alert, seen)
    breach = seen.breach()
    if not raising or breach is None or _cools_down(state, seen.now_ms):
        return (AlertState(alert=state.alert) if state.breaches else state), None
    since_ms = seen.now_ms if state.breach_since_ms is None else state.breach_since_ms
    if state.breaches + 1 < RAISE_AFTER:
        return AlertState(state.breaches + 1, since_ms, None, state.alert), None
    alert = _raised(watched, seen, since_ms, *breach)
    return AlertState(alert=alert), alert


def alert_id(tenant: str, queue: str, rule: str, raised_at_ms: int) -> str:
    """The name of an alert, the same in every replay: 16 hexadecimal digits."""
    text = "\0".join((tenant, queue, rule, str(raised_at_ms)))
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _cools_down(state: AlertState, now_ms: int) -> bool:
    cleared_at_ms = None if state.alert is None else state.alert.cleared_at_ms
    return cleared_at_ms is not None and now_ms < cleared_at_ms + COOL_DOWN_MS


def _raised(watched: Watched, seen: _Seen, since_ms: int, value: float, level: float) -> Alert:
    return Alert(
        id=alert_id(watched.tenant, watched.queue, seen.rule.name, seen.now_ms),
        tenant=watched.tenant,
        queue=watched.queue,
        rule=seen.rule.name,
        change="raised",
        severity=seen.severity("warning"),
        since_ms=since_ms,
        raised_at_ms=seen.now_ms,
        updated_at_ms=seen.now_ms,
        cleared_at_ms=None,
        value=value,
        worst=value,
        level=level,
        numbers=seen.reading.numbers,
        text=seen.rule.text(watched.queue, seen.reading, level),
    )


def _follow(state: AlertState, alert: Alert, seen: _Seen) -> tuple[AlertState, Alert | None]:
    """One evaluation of an active alert."""
    now_ms, calm_since_ms = seen.now_ms, None
    if seen.is_calm():
        calm_since_ms = now_ms if state.calm_since_ms is None else state.calm_since_ms
        if now_ms >= calm_since_ms + CLEAR_HOLD_MS:
            cleared = replace(_told(alert, seen), change="cleared", cleared_at_ms=now_ms)
            return AlertState(alert=cleared), cleared
    severity = seen.severity(alert.severity)
    is_due = now_ms >= alert.updated_at_ms + UPDATE_MS and seen.reading.numbers != alert.numbers
    if severity != alert.severity or is_due:
        told = replace(_told(alert, seen), change="updated", severity=severity)
        return AlertState(calm_since_ms=calm_since_ms, alert=told), told
    if calm_since_ms != state.calm_since_ms:
        return AlertState(calm_since_ms=calm_since_ms, alert=alert), None
    return state, None


def _told(alert: Alert, seen: _Seen) -> Alert:
    """The alert with what is seen now."""
    value = seen.reading.value
    level = alert.level if seen.level is None else seen.level
    return replace(
        alert,
        updated_at_ms=seen.now_ms,
        value=value,
        worst=alert.worst if value is None else seen.rule.worse(alert.worst, value),
        level=level,
        numbers=seen.reading.numbers,
        text=seen.rule.text(alert.queue, seen.reading, level),
    )

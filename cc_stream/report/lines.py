"""The lines of a report: metrics of entities over windows."""

from collections.abc import Callable, Iterator
from typing import Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from cc_stream.counts import BUCKET_BITS, BUCKET_MASK, Vector
from cc_stream.facts import Attribution
from cc_stream.metrics.metric import Value
from cc_stream.panes import Window
from cc_stream.reference import DEFAULT_TERMS, ReferenceData, Terms, terms_of
from cc_stream.report.book import OPEN_SLOTS, Book
from cc_stream.report.collect import Collected, facts
from cc_stream.report.periods import ALL, Periods
from cc_stream.view import Entity, figures, live_metrics, window_metrics

Kind = Literal["queue", "agent", "team", "campaign", "floor"]
Period = Literal["all", "15m", "1h", "1d"]

_OFFLINE: Final = "offline"


class Ask(Struct, frozen=True):
    """What a report is to show.

    `as_of_ms` None: the last event. What happened later is left out, and what is open then counts
    until then. `service_level_seconds` and `short_abandon_seconds`, where they are given, win over
    a queue's own settings; `terms` are for entities without settings.
    """

    by: Kind = "queue"
    window: Period = "all"
    timezone: str = "UTC"
    attribution: Attribution = "event"
    as_of_ms: int | None = None
    service_level_seconds: int | None = None
    short_abandon_seconds: int | None = None
    terms: Terms = DEFAULT_TERMS


class Line(Struct, frozen=True):
    """One entity over one window. The live metrics of a window that is over are None."""

    entity: Entity
    window: Window
    metrics: dict[str, Value]


class Report(Struct, frozen=True):
    """The lines, and what they are made by. `lateness_ms` None: everything was admitted.

    `refused` counts records that were not counted, by rule.
    """

    ask: Ask
    as_of_ms: int
    lateness_ms: int | None
    lines: list[Line]
    refused: dict[str, int]


def terms_at(
    reference: ReferenceData, entity: Entity, as_of_ms: int, default: Terms = DEFAULT_TERMS
) -> Terms:
    """The terms of an entity at a moment: a queue's settings, a team's targets, or the default."""
    if entity.kind == "queue":
        fields = reference.fields(entity.tenant, "queue", entity.id, as_of_ms)
    elif entity.kind in {"team", "agent"}:
        team = entity.id if entity.kind == "team" else entity.team or ""
        fields = reference.fields(entity.tenant, "target", team, as_of_ms)
    else:
        return default
    return terms_of(fields, default)


def report(
    collected: Collected, ask: Ask, progress: Callable[[int, int], None] | None = None
) -> Report:
    """The report over all that was collected; `progress` is told (entities done, of all)."""
    as_of_ms = ask.as_of_ms if ask.as_of_ms is not None else collected.latest_ms
    made_by = (as_of_ms or 0, collected.limits.grace_ms)
    if collected.first_ms is None or as_of_ms is None:
        return Report(ask, *made_by, [], dict(collected.refused))
    book = Book(facts(collected, ask.as_of_ms), ask.attribution)
    first_ms = min(collected.first_ms, book.earliest_ms() or collected.first_ms)
    span = Window(first_ms, max(as_of_ms, first_ms + 1))
    lines: list[Line] = []
    entities = book.of_kind(ask.by)
    for done, entity in enumerate(entities):
        if progress is not None:
            progress(done, len(entities))
        terms = _explicit(ask, terms_at(collected.reference, entity, as_of_ms, ask.terms))
        lines += _lines(book, ask, entity, terms, span, as_of_ms)
    return Report(ask, *made_by, lines, dict(collected.refused))


def _explicit(ask: Ask, terms: Terms) -> Terms:
    """What was asked for explicitly wins."""
    given = {
        name: value
        for name in ("service_level_seconds", "short_abandon_seconds")
        if (value := getattr(ask, name)) is not None
    }
    return replace(terms, **given)


def _lines(
    book: Book, ask: Ask, entity: Entity, terms: Terms, span: Window, as_of_ms: int
) -> Iterator[Line]:
    live = book.live(entity)
    if ask.window == ALL:
        yield _line(entity, span, as_of_ms, book.sum_of_all(entity, span), live, terms)
        return
    periods = Periods(ask.window, ZoneInfo(ask.timezone))
    for window in sorted(_touched(book, entity, periods, terms, as_of_ms)):
        yield _line(entity, window, as_of_ms, book.sum(entity, window), live, terms)


def _touched(
    book: Book, entity: Entity, periods: Periods, terms: Terms, as_of_ms: int
) -> set[Window]:
    """The windows in which there is anything of an entity; being offline is nothing."""
    touched = {periods.at(ms) for ms in book.moments_of(entity)}
    for time in book.times_of(entity):
        if time.state != _OFFLINE:
            touched.update(periods.over(time.start, time.end))
    for key in book.live(entity):
        state, since = OPEN_SLOTS.get(key >> BUCKET_BITS), key & BUCKET_MASK
        if state == _OFFLINE:
            continue
        if state is not None:
            end = min(as_of_ms, since + terms.agent_max_age_ms)
            touched.update(periods.over(since, end))
        touched.add(periods.at(as_of_ms))
    return touched


def _line(
    entity: Entity, window: Window, as_of_ms: int, vector: Vector, live: Vector, terms: Terms
) -> Line:
    of = figures(entity.kind, window, as_of_ms, vector, live, terms)
    now = live_metrics(of)
    if not of.is_current():
        now = dict.fromkeys(now)
    return Line(entity, window, {**window_metrics(of), **now})

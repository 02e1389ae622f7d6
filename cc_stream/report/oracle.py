"""The report's figures of any entity, window and moment, for whoever holds views against them."""

from zoneinfo import ZoneInfo

from msgspec import Struct

from cc_stream.counts import Vector
from cc_stream.leaderboard import MINIMUM_SAMPLE
from cc_stream.metrics.metric import Value
from cc_stream.panes import Window, window_at
from cc_stream.reference import DEFAULT_TERMS, Terms
from cc_stream.report.book import Book
from cc_stream.report.collect import Collected, facts
from cc_stream.report.lines import terms_at
from cc_stream.view import LIVE_VIEW, Entity, View, figures, live_metrics, window_metrics


class Rules(Struct, frozen=True):
    """What of an installation's settings decides what is shown."""

    terms: Terms = DEFAULT_TERMS
    minimum_sample: int = MINIMUM_SAMPLE
    leaderboard_size: int = 20


class Oracle:
    """The report's figures for any entity, window and moment."""

    def __init__(self, collected: Collected, rules: Rules) -> None:
        self.rules = rules
        self.reference = collected.reference
        self.book = Book(facts(collected))
        self._sums: dict[tuple[Entity, Window], Vector] = {}

    def terms(self, entity: Entity, as_of_ms: int) -> Terms:
        """What an entity's numbers are read by at a moment."""
        return terms_at(self.reference, entity, as_of_ms, self.rules.terms)

    def sum(self, entity: Entity, window: Window) -> Vector:
        """The sum over a window; not to be changed."""
        known = self._sums.get((entity, window))
        if known is None:
            known = self._sums[entity, window] = self.book.sum(entity, window)
        return known

    def window_of(self, entity: Entity, name: str, as_of_ms: int) -> Window:
        """The window of a name (`panes.WINDOWS`) as it stands at a moment in the entity's zone."""
        zone = ZoneInfo(self.terms(entity, as_of_ms).timezone)
        return window_at(name, zone, as_of_ms)

    def metrics(self, view: View, vector: Vector, live: Vector) -> dict[str, Value]:
        """Figures for exactly this view from any sums: the report's, or those of merged parts."""
        terms = self.terms(view.entity, view.as_of_ms)
        if view.window == LIVE_VIEW:
            # Live readings look at no window; any that holds the moment will do.
            window = Window(view.as_of_ms, view.as_of_ms + 1)
            return live_metrics(figures(view.entity.kind, window, view.as_of_ms, {}, live, terms))
        window = Window(view.start_ms or 0, view.end_ms or 1)
        return window_metrics(figures(view.entity.kind, window, view.as_of_ms, vector, live, terms))

"""The sink for Prometheus: business metrics of what this worker owns, read at scrape time.

The gauges are made from the figures themselves: a new metric of `cc_stream/metrics` is exported
without a line here. `cc_<kind>_<figure>` with labels tenant, the kind, and window (none for what is
of the moment). What has no value is absent. Agents are a label only on request: many series.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cc_stream.alerts import RULES
from cc_stream.alerts.engine import Alert
from cc_stream.metrics import READINGS
from cc_stream.outputs import moment_ms
from cc_stream.sinks.sink import ShardStatus, Update
from cc_stream.view import LIVE_VIEW, Entity, View

NAMES: Final = {
    "service_level": "service_level_ratio",
    "service_level_live": "service_level_live_ratio",
    "service_levels": "service_level_by_formula_ratio",
    "service_level_seconds": "service_level_threshold_seconds",
    "short_abandon_seconds": "short_abandon_threshold_seconds",
    "conversion": "conversion_ratio",
    "occupancy": "occupancy_ratio",
    "utilisation": "utilisation_ratio",
    "talk_total_seconds": "talk_seconds",
    "agents_by_state": "agents",
}
"""Figures whose name in Prometheus is not their own without `queue_` before or `_now` behind."""
LABELS: Final = {"service_levels": "formula", "agents_by_state": "state"}
"""The label of figures that are a number each of something; `reason` for all others."""
GROWING: Final = {
    "longest_wait_seconds": "oldest_queued_at",
    "longest_hold_seconds": "oldest_hold_at",
}
"""Figures that grow by time alone, by the figure that names their start."""
SEVERITIES: Final = ("warning", "critical")

_HELP: Final = {reading.name: reading.help for reading in READINGS}


def gauge_name(kind: str, figure: str) -> str:
    """The gauge of a figure: `cc_queue_waiting` of a queue's `waiting_now`."""
    short = figure.removeprefix("queue_").removesuffix("_now")
    return f"cc_{kind}_{NAMES.get(figure, short)}"


class PrometheusSink(Collector):
    """Keeps the latest views, and renders them when Prometheus asks."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        agent_labels: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since 1970: waits so far are told as of the scrape."""
        self._kinds = {"queue", "team", "agent"} if agent_labels else {"queue", "team"}
        self._clock = clock
        self._views: dict[int, dict[tuple[Entity, str], View]] = {}
        self._alerts: dict[int, dict[tuple[str, str, str], Alert]] = {}
        self._status: dict[int, ShardStatus] = {}
        registry.register(self)

    async def publish(self, update: Update) -> bool:
        """See `Sink.publish`; never unavailable."""
        shard = update.shard
        is_new = shard not in self._views
        if update.whole or is_new:
            self._views[shard], self._alerts[shard] = {}, {}
        views, alerts = self._views[shard], self._alerts[shard]
        for view in update.views:
            if view.entity.kind in self._kinds:
                views[view.entity, view.window] = view
        for alert in update.alerts:
            key = alert.tenant, alert.queue, alert.rule
            if alert.is_active:
                alerts[key] = alert
            else:
                alerts.pop(key, None)
        self._status[shard] = update.status
        return is_new and not update.whole

    def forget(self, shard: int) -> None:
        """See `Sink.forget`: the gauges of the shard's entities are gone with the next scrape."""
        for kept in (self._views, self._alerts, self._status):
            kept.pop(shard, None)

    async def close(self) -> None:
        """See `Sink.close`."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing, so that registering does not render."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every gauge; called from the thread that serves the scrape."""
        # Each `list` copies in one step: the loop's thread goes on writing meanwhile.
        families: dict[tuple[str, str], GaugeMetricFamily] = {}
        now = self._clock()
        for views in list(self._views.values()):
            for view in list(views.values()):
                _add_view(families, view, now)
        yield from families.values()
        yield from _alert_families(
            [a for kept in list(self._alerts.values()) for a in list(kept.values())]
        )
        yield from _status_families(dict(self._status))


def _add_view(families: dict[tuple[str, str], GaugeMetricFamily], view: View, now: float) -> None:
    entity = view.entity
    labels = [entity.tenant, entity.id]
    if entity.kind == "agent":
        labels.append(entity.team or "")
    if view.window != LIVE_VIEW:
        labels.append(view.window)
    for figure, kept in view.metrics.items():
        value: Any = _as_of(now, view.metrics, figure) if figure in GROWING else kept
        if isinstance(value, dict):
            family = _family(families, view, figure, LABELS.get(figure, "reason"))
            for of, n in value.items():
                if n is not None:
                    family.add_metric([*labels, of], n)
        elif isinstance(value, int | float):
            _family(families, view, figure).add_metric(labels, value)


def _as_of(now: float, metrics: Mapping[str, Any], figure: str) -> float | None:
    since_ms = moment_ms(metrics.get(GROWING[figure]))
    return None if since_ms is None else max(0.0, now - since_ms / 1000)


def _family(
    families: dict[tuple[str, str], GaugeMetricFamily],
    view: View,
    figure: str,
    label: str | None = None,
) -> GaugeMetricFamily:
    kind = view.entity.kind
    family = families.get((kind, figure))
    if family is None:
        labels = ["tenant", kind, *(["team"] if kind == "agent" else [])]
        labels += [] if view.window == LIVE_VIEW else ["window"]
        labels += [] if label is None else [label]
        text = _HELP.get(figure, figure)
        family = GaugeMetricFamily(gauge_name(kind, figure), text, labels=labels)
        families[kind, figure] = family
    return family


def _alert_families(alerts: list[Alert]) -> Iterable[GaugeMetricFamily]:
    """How many, also where there are none, and which."""
    count = GaugeMetricFamily(
        "cc_alerts_active", "Active alerts of this worker's queues", labels=["rule", "severity"]
    )
    for rule in RULES:
        for severity in SEVERITIES:
            same = (a for a in alerts if (a.rule, a.severity) == (rule.name, severity))
            count.add_metric([rule.name, severity], sum(1 for _ in same))
    names = ["tenant", "queue", "rule", "severity"]
    each = GaugeMetricFamily("cc_queue_alert_active", "1 while an alert is active", labels=names)
    for alert in alerts:
        each.add_metric([alert.tenant, alert.queue, alert.rule, alert.severity], 1)
    return count, each


def _status_families(shards: Mapping[int, ShardStatus]) -> Iterable[GaugeMetricFamily]:
    shown = GaugeMetricFamily(
        "cc_board_as_of_timestamp_seconds", "When a shard's boards were last made", labels=["shard"]
    )
    data = GaugeMetricFamily(
        "cc_board_data_timestamp_seconds", "Latest event time on a shard", labels=["shard"]
    )
    source = GaugeMetricFamily(
        "cc_source_last_event_timestamp_seconds", "Latest event time of a source", labels=["source"]
    )
    latest: dict[str, int] = {}
    for shard, status in shards.items():
        shown.add_metric([str(shard)], status.as_of_ms / 1000)
        data.add_metric([str(shard)], status.data_as_of_ms / 1000)
        for name, ms in status.sources.items():
            latest[name] = max(ms, latest.get(name, 0))
    for name, ms in latest.items():
        source.add_metric([name], ms / 1000)
    return shown, data, source

"""Prometheus: names and values of business metrics, whose they are, and the worker's own page."""

import asyncio
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from cc_stream.metrics import READINGS, SLOTS
from cc_stream.panes import Window
from cc_stream.sinks.prometheus import GROWING, LABELS, NAMES, PrometheusSink, gauge_name
from cc_stream.sinks.sink import Update
from cc_stream.telemetry import MEASURES, ServeError, Telemetry
from cc_stream.view import LIVE_VIEW, Entity, View, figures, live_metrics, window_metrics
from tests.contracts.test_view_store import NOW, TENANT, alert, board, standing, update, view

KINDS = ("queue", "team", "agent")
Q = {"tenant": "acme", "queue": "sales"}


def queue(window: str = "15m", queue: str = "sales", **metrics: object) -> View:
    one = view(entity=Entity("acme", "queue", queue), window=window, metrics=metrics)
    return replace(one, start_ms=None, end_ms=None) if window == LIVE_VIEW else one


class Page:
    """A sink, and what Prometheus would see."""

    def __init__(self, *, agent_labels: bool = False, now: float = NOW / 1000) -> None:
        self.registry = CollectorRegistry()
        self.sink = PrometheusSink(self.registry, agent_labels=agent_labels, clock=lambda: now)

    def publish(self, one: Update) -> bool:
        return asyncio.run(self.sink.publish(one))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def names(self) -> set[str]:
        return {family.name for family in self.registry.collect()}


def test_figures_become_gauges_in_base_units() -> None:
    page = Page()
    now = queue(
        LIVE_VIEW,
        waiting_now=3,
        longest_wait_seconds=1.0,
        oldest_queued_at="2027-01-15T07:59:30.000Z",
        agents_by_state={"available": 2, "break": 1},
        in_wrapup_now=0,
    )
    window = queue(
        offered=7,
        queue_wait_mean_seconds=4.5,
        service_level=0.8,
        service_levels={"ignore_abandons": 0.9, "abandons_negative": None},
        service_level_formula="abandons_negative",
        service_level_seconds=20,
        other_exits={"timeout": 2},
        hold_known=True,
    )
    team = view(entity=Entity("acme", "team", "north"), window="60m", metrics={"occupancy": 0.75})
    page.publish(update(now, window, team, whole=True))
    w = {**Q, "window": "15m"}
    assert page.value("cc_queue_waiting", **Q) == 3
    # As of the scrape, not as of the tick.
    assert page.value("cc_queue_longest_wait_seconds", **Q) == 30
    assert page.value("cc_queue_agents", **Q, state="break") == 1
    assert page.value("cc_queue_in_wrapup", **Q) == 0
    assert page.value("cc_queue_offered", **w) == 7
    assert page.value("cc_queue_wait_mean_seconds", **w) == 4.5
    assert page.value("cc_queue_service_level_ratio", **w) == 0.8
    assert page.value("cc_queue_service_level_threshold_seconds", **w) == 20
    assert page.value("cc_queue_service_level_by_formula_ratio", **w, formula="ignore_abandons")
    assert page.value("cc_queue_other_exits", **w, reason="timeout") == 2
    labels = {"tenant": "acme", "team": "north", "window": "60m"}
    assert page.value("cc_team_occupancy_ratio", **labels) == 0.75


def test_no_value_is_no_sample_never_zero_and_never_nan() -> None:
    page = Page()
    page.publish(
        update(
            queue(service_level=None, queue_wait_mean_seconds=None, service_levels={"x": None}),
            queue(LIVE_VIEW, longest_wait_seconds=None, oldest_queued_at=None),
            whole=True,
        )
    )
    text = generate_latest(page.registry).decode()
    assert "NaN" not in text
    samples = [line for line in text.splitlines() if line.startswith("cc_queue_")]
    assert samples == []


def test_only_what_this_worker_owns() -> None:
    page = Page()
    assert page.publish(update(queue(offered=1), shard=0))
    assert not page.publish(update(queue(offered=1), queue("5m", offered=2), shard=0, whole=True))
    page.publish(update(queue(queue="claims", offered=5), shard=1, whole=True))
    claims = {"tenant": "acme", "queue": "claims", "window": "15m"}
    assert page.value("cc_queue_offered", **claims) == 5
    # What a whole update does not name is gone, and so is the shard of another worker.
    page.publish(update(queue("5m", offered=2), shard=0, whole=True))
    assert page.value("cc_queue_offered", **Q, window="15m") is None
    page.sink.forget(1)
    assert page.value("cc_queue_offered", **claims) is None
    assert page.value("cc_queue_offered", **Q, window="5m") == 2


def test_agents_are_a_label_only_on_request() -> None:
    agent = view(entity=Entity("acme", "agent", "a7", "north"), metrics={"handled": 3})
    closed, opened = Page(), Page(agent_labels=True)
    for page in (closed, opened):
        page.publish(update(agent, leaderboards=[board(standing("a7", 1.0))], whole=True))
    labels = {"tenant": "acme", "agent": "a7", "team": "north", "window": "5m"}
    assert opened.value("cc_agent_handled", **labels) == 3
    assert b"a7" not in generate_latest(closed.registry)


def test_alerts_and_how_shards_stand() -> None:
    page = Page()
    assert page.value("cc_alerts_active", rule="waiting_now", severity="warning") == 0
    page.publish(update(alerts=[alert("a"), alert("b", severity="critical")], whole=True))
    assert page.value("cc_alerts_active", rule="waiting_now", severity="critical") == 1
    labels = {"tenant": TENANT, "queue": "b", "rule": "waiting_now", "severity": "critical"}
    assert page.value("cc_queue_alert_active", **labels) == 1
    page.publish(update(alerts=[alert("b", change="cleared", cleared_at_ms=NOW)]))
    assert page.value("cc_queue_alert_active", **labels) is None
    assert page.value("cc_alerts_active", rule="waiting_now", severity="critical") == 0
    assert page.value("cc_board_as_of_timestamp_seconds", shard="0") == NOW / 1000
    assert page.value("cc_source_last_event_timestamp_seconds", source="pbx") == (NOW - 5) / 1000


def test_every_figure_has_a_gauge_of_its_own() -> None:
    names = {reading.name for reading in READINGS}
    assert set(NAMES) | set(LABELS) | set(GROWING) | set(GROWING.values()) <= names
    for kind in ("queue", "team", "agent"):
        gauges = Counter(gauge_name(kind, r.name) for r in READINGS if kind in r.kinds)
        assert max(gauges.values()) == 1


def full_view(kind: str, *, live: bool) -> View:
    """A view with as many values as one can have."""
    vector = {key: 2 for slot in SLOTS.values() for key in (slot.key, slot.key | 1)}
    since = {slot.key | NOW - 5000: 1 for slot in SLOTS.values() if slot.name.endswith("_since")}
    of = figures(kind, Window(NOW - 60_000, NOW), NOW, vector, since)
    entity = Entity("acme", kind, "x", "t" if kind == "agent" else None)
    if live:
        return view(
            entity=entity, metrics=live_metrics(of), window=LIVE_VIEW, start_ms=None, end_ms=None
        )
    return view(entity=entity, metrics=window_metrics(of))


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_real_figures_is_shown(kind: str) -> None:
    page = Page(agent_labels=True)
    views = [full_view(kind, live=live) for live in (False, True)]
    page.publish(update(*views, whole=True))
    shown = {
        gauge_name(kind, figure)
        for one in views
        for figure, value in one.metrics.items()
        if value not in ({}, None) and not isinstance(value, str)
    }
    assert {name for name in page.names() if name.startswith(f"cc_{kind}_")} - {
        "cc_queue_alert_active"
    } == shown
    assert len(shown) > 20


@pytest.fixture
def telemetry() -> Telemetry:
    """Everything reported once."""
    telemetry = Telemetry()
    telemetry.chunk("calls-0", 500)
    telemetry.flushed("calls-0", 0.02, 30)
    telemetry.transaction("calls-0", 0.01)
    telemetry.loaded("board-3", 0.5, 1000)
    telemetry.dropped("board-3")
    telemetry.owned({"calls": 2, "board": 0})
    telemetry.stopped(["calls-1"])
    telemetry.lag("cc.calls.v1", 0, 12)
    telemetry.delay("cc.calls.v1", 0, 0.3)
    telemetry.loading("board-3", 900)
    telemetry.taken_over("board-3", {"load": 0.5})
    telemetry.stalled()
    telemetry.cluster(0.0, ["cc.calls.v1"])
    telemetry.last_event("cc.calls.v1", 0, NOW)
    telemetry.decoded("calls", 500, 3)
    telemetry.verdicts("calls", {"Admitted": 490, "Repeated": 7}, {"late": 3})
    telemetry.event_to_board(0.12)
    telemetry.published("redis", 0.003, 2)
    telemetry.sink_failed("redis")
    return telemetry


def test_every_measure_is_reported(telemetry: Telemetry) -> None:
    for measure in MEASURES:
        families = [f for f in telemetry.registry.collect() if f.documentation == measure.help]
        assert len(families) == 1
        assert families[0].samples, measure.name
        assert measure.name.startswith("cc_")
        assert (measure.kind == "counter") is measure.name.endswith("_total")
        assert (measure.kind == "histogram") is bool(measure.buckets)


def test_values_of_measures(telemetry: Telemetry) -> None:
    value = telemetry.registry.get_sample_value
    assert value("cc_dead_letters_total", {"stage": "calls", "rule": "late"}) == 3
    assert value("cc_repeated_total", {"stage": "calls"}) == 7
    assert value("cc_events_total", {"stage": "calls", "verdict": "admitted"}) == 490
    assert value("cc_flush_seconds_count", {"stage": "calls"}) == 1
    assert value("cc_loaded_records_total", {"stage": "board"}) == 1000
    assert value("cc_sink_up", {"sink": "redis"}) == 0
    place = {"topic": "cc.calls.v1", "partition": "0"}
    assert value("cc_shard_lag_records", place) == 12
    telemetry.forget("cc.calls.v1", 0)
    telemetry.forget("cc.calls.v1", 0)
    assert value("cc_shard_lag_records", place) is None
    telemetry.lag("cc.calls.v1", 0, 5)
    assert value("cc_shard_lag_records", place) == 5


def get(url: str, **headers: str) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5)  # noqa: S310


def test_the_page_is_served_and_nothing_else(telemetry: Telemetry) -> None:
    exposition = telemetry.serve("127.0.0.1", 0)
    try:
        with get(exposition.url + "?name=x") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert b"cc_event_to_board_seconds_bucket" in answer.read()
        with get(exposition.url, Accept="application/openmetrics-text") as answer:
            assert answer.read().endswith(b"# EOF\n")
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            get(exposition.url.removesuffix("/metrics"))
        refused.value.close()
        with pytest.raises(
            ServeError, match=f"cannot serve /metrics on 127.0.0.1:{exposition.port}"
        ):
            telemetry.serve("127.0.0.1", exposition.port)
    finally:
        exposition.close()
    telemetry.serve("127.0.0.1", exposition.port).close()


def test_two_telemetries_do_not_meet() -> None:
    one, other = Telemetry(), Telemetry()
    one.decoded("calls", 5, 0)
    assert other.registry.get_sample_value("cc_records_total", {"stage": "calls"}) is None


def test_promtool_finds_nothing_wrong(telemetry: Telemetry) -> None:
    sink = PrometheusSink(telemetry.registry, agent_labels=True)
    views = [full_view(kind, live=live) for kind in KINDS for live in (False, True)]
    asyncio.run(sink.publish(update(*views, alerts=[alert()], whole=True)))
    page = generate_latest(telemetry.registry)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607 - from the PATH
        input=page,
        capture_output=True,
        check=False,
    )
    own = [line for line in checked.stderr.decode().splitlines() if line.startswith("cc_")]
    assert own == []
    assert checked.returncode in {0, 3}

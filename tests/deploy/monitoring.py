"""What the files for operators name: queries, and the metrics that the code exports."""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from cc_stream.metrics import READINGS
from cc_stream.sinks.prometheus import gauge_name
from cc_stream.telemetry import MEASURES

REPOSITORY: Final = Path(__file__).parents[2]
DEPLOY: Final = REPOSITORY / "deploy"
DASHBOARDS: Final = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES: Final = DEPLOY / "prometheus" / "rules.yml"
OF_THE_SINK: Final = {
    "cc_alerts_active",
    "cc_queue_alert_active",
    "cc_board_as_of_timestamp_seconds",
    "cc_board_data_timestamp_seconds",
    "cc_source_last_event_timestamp_seconds",
}
"""What `cc_stream/sinks/prometheus.py` exports beside the figures of queues and teams."""


def dashboard(path: Path) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def panels(path: Path) -> list[dict[str, Any]]:
    """Its panels, without the rows that part them."""
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def queries(path: Path) -> list[tuple[str, str]]:
    """(panel, PromQL) of a dashboard."""
    return [(panel["title"], each["expr"]) for panel in panels(path) for each in panel["targets"]]


def rules() -> list[tuple[str, str]]:
    """(alert, PromQL) of the rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def metric_names(query: str) -> set[str]:
    """The metrics of ours that a query names."""
    return set(re.findall(r"\bcc_[a-z0-9_]+", query))


def exported() -> set[str]:
    """Every name that a worker may export with the default settings."""
    names = set(OF_THE_SINK)
    for measure in MEASURES:
        names.add(measure.name)
        if measure.kind == "histogram":
            names |= {f"{measure.name}_{part}" for part in ("bucket", "sum", "count")}
    for reading in READINGS:
        names |= {
            gauge_name(kind, reading.name) for kind in ("queue", "team") if kind in reading.kinds
        }
    return names

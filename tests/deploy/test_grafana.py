"""Dashboards: they parse, they fit, and every query names metrics that exist."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.monitoring import (
    DASHBOARDS,
    DEPLOY,
    dashboard,
    exported,
    metric_names,
    panels,
    queries,
)

WIDTH = 24
PROVISIONING = DEPLOY / "grafana" / "provisioning"
EVERY_QUERY = [(path, panel, query) for path in DASHBOARDS for panel, query in queries(path)]


def provisioned(kind: str) -> list[dict[str, Any]]:
    """What all files of a kind provision."""
    key = {"datasources": "datasources", "dashboards": "providers"}[kind]
    files = sorted((PROVISIONING / kind).glob("*.yml"))
    return [each for file in files for each in yaml.safe_load(file.read_text())[key]]


def test_there_is_a_floor_dashboard() -> None:
    assert [path.name for path in DASHBOARDS] == ["floor.json"]


@pytest.mark.parametrize(("path", "panel", "query"), EVERY_QUERY, ids=lambda v: str(v)[-40:])
def test_queries_use_metrics_that_exist(path: Path, panel: str, query: str) -> None:
    assert metric_names(query), f"{path.name}, {panel}: names no metric of ours"
    assert metric_names(query) <= exported(), f"{path.name}, {panel}"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_are_told_apart_and_do_not_overlap(path: Path) -> None:
    every = dashboard(path)["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_say_what_they_show(path: Path) -> None:
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for number, target in enumerate(panel["targets"]):
            assert target["refId"] == chr(ord("A") + number)
            assert target["legendFormat"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_panel_reads_the_provisioned_datasource(path: Path) -> None:
    known = {each["uid"] for each in provisioned("datasources")}
    for panel in panels(path):
        assert {each["datasource"]["uid"] for each in panel["targets"]} <= known


def test_the_provider_reads_the_mounted_folder() -> None:
    assert [each["options"]["path"] for each in provisioned("dashboards")] == [
        "/etc/grafana/dashboards"
    ]

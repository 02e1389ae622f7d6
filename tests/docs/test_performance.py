"""The page about speed against the file of results that it is made from."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.aims import Aim
from bench.page import CHART, PAGE, drawn, fill, read
from bench.results import Results


def test_the_page_and_the_chart_are_those_of_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert fill(page, read()) == page, "run `python -m bench.page`"
    assert CHART.read_text(encoding="utf-8") == drawn(read()), "run `python -m bench.page`"


@pytest.mark.parametrize(
    ("aim", "value", "reached"),
    [
        (Aim("rate", "", 7, 9), 9, "aim"),
        (Aim("rate", "", 7, 9), 7, "floor"),
        (Aim("rate", "", 7, 9), 6, "missed"),
        (Aim("delay", "", 9, 7, at_least=False), 7, "aim"),
        (Aim("delay", "", 9, 7, at_least=False), 8, "floor"),
        (Aim("delay", "", 9, 7, at_least=False), 10, "missed"),
    ],
)
def test_an_aim_knows_which_way_is_better(aim: Aim, value: float, reached: str) -> None:
    assert aim.reached(value) == reached


def test_a_ratio_is_taken_inside_a_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results()
    for repetition, (ours, limit) in enumerate([(10.0, 20.0), (40.0, 40.0), (30.0, 60.0)], 1):
        results.add("both_stages", repetition, {"events_per_second": ours})
        results.add("limit", repetition, {"events_per_second": limit})
    monkeypatch.setattr("bench.results.FILE", tmp_path / "latest.json")
    written: dict[str, Any] = json.loads(results.write({}).read_text(encoding="utf-8"))
    assert written["both_stages"] == {
        "events_per_second": 30.0,
        "events_per_second_min": 10.0,
        "events_per_second_max": 40.0,
        "ratio_to_limit": 0.5,
        "ratio_to_limit_min": 0.5,
        "ratio_to_limit_max": 1.0,
    }

"""Figures of all repetitions: minimum, median, maximum; ratios inside a repetition; table; file."""

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from msgspec import Struct
from rich import box
from rich.table import Table

from cc_stream.local.kafka_libs import kafka_version

FILE: Final = Path(__file__).with_name("results") / "latest.json"


class Ratio(Struct, frozen=True):
    """One figure over another of the same repetition: phases of the machine cancel out."""

    name: str
    over: tuple[str, str]
    under: tuple[str, str]


RATIOS: Final = (
    Ratio(
        "both_stages.ratio_to_faust",
        ("both_stages", "events_per_second"),
        ("stock_faust", "events_per_second"),
    ),
    Ratio(
        "both_stages.ratio_to_limit",
        ("both_stages", "events_per_second"),
        ("limit", "events_per_second"),
    ),
)
AIMS: Final = {
    "both_stages.ratio_to_faust": ("both_stages / stock_faust", "floor 8"),
    "both_stages.ratio_to_limit": ("both_stages / limit", ""),
    "both_stages.events_per_second": ("both_stages events/s", "floor 20,000"),
    "latency.1000.p99_ms": ("latency p99 ms, at 1,000 events/s", "floor 500"),
}
"""The figures to reach, with how they are called in the table."""


class Results:
    """Candidate → repetition → figures. `failed`: what could not be measured."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[int, dict[str, float]]] = {}
        self.failed: list[str] = []

    def add(self, candidate: str, repetition: int, figures: dict[str, float]) -> None:
        """Add one repetition of a candidate."""
        self.runs.setdefault(candidate, {})[repetition] = figures

    def figures(self) -> dict[str, list[float]]:
        """Dotted name → values, the ratios among them."""
        found = {
            f"{candidate}.{name}": [run[name] for run in runs.values()]
            for candidate, runs in self.runs.items()
            for name in next(iter(runs.values()))
        }
        for ratio in RATIOS:
            over, under = (self.runs.get(of[0], {}) for of in (ratio.over, ratio.under))
            both = sorted(over.keys() & under.keys())
            if both:
                found[ratio.name] = [
                    over[n][ratio.over[1]] / under[n][ratio.under[1]] for n in both
                ]
        return found

    def table(self) -> Table:
        """Every figure, those to reach at the end."""
        table = Table(title="bench", title_justify="left", box=box.SIMPLE)
        table.add_column("figure", no_wrap=True)
        for heading in ("min", "median", "max", "to reach"):
            table.add_column(heading, justify="right", no_wrap=True)
        figures = self.figures()
        for name in sorted(figures.keys() - AIMS.keys()):
            table.add_row(name, *_texts(figures[name]), "")
        table.add_section()
        for name, (title, aim) in AIMS.items():
            if name in figures:
                table.add_row(title, *_texts(figures[name]), aim)
        return table

    def write(self, asked: dict[str, float]) -> Path:
        """Put everything into the file: the median under its name, `_min` and `_max` beside it."""
        out: dict[str, Any] = {"taken": datetime.now(UTC).isoformat(timespec="seconds")}
        out["on"] = {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "kafka": kafka_version(),
            **asked,
        }
        for name, value in _flat(self.figures()):
            *path, last = name.split(".")
            place = out
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(out, indent=2) + "\n")
        return FILE


def _flat(figures: dict[str, list[float]]) -> Iterator[tuple[str, float]]:
    for name in sorted(figures):
        values = figures[name]
        yield name, _rounded(median(values))
        yield f"{name}_min", _rounded(min(values))
        yield f"{name}_max", _rounded(max(values))


def _rounded(value: float) -> float:
    """Four digits say more than the measurement does."""
    return float(f"{value:.4g}") if abs(value) < 1_000 else round(value)  # noqa: PLR2004 - digits


def _texts(values: list[float]) -> list[str]:
    return [f"{_rounded(of(values)):,}" for of in (min, median, max)]

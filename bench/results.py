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

from bench.aims import AIMS
from cc_stream.local.kafka_libs import kafka_version

FILE: Final = Path(__file__).with_name("results") / "latest.json"


class Ratio(Struct, frozen=True):
    """One figure over another of the same repetition: phases of the machine cancel out."""

    name: str
    over: str
    under: str


RATE, CPU = "events_per_second", "cpu_us_per_event"
RATIOS: Final = (
    Ratio("both_stages.ratio_to_limit", f"both_stages.{RATE}", f"limit.{RATE}"),
    Ratio("workers_2_over_1", f"two_workers.{RATE}", f"both_stages.{RATE}"),
    Ratio("flat.ratio_to_limit", f"flat.cc_stream.{RATE}", f"flat.limit.{RATE}"),
    Ratio("flat.ratio_to_faust", f"flat.cc_stream.{RATE}", f"flat.stock_faust.{RATE}"),
    Ratio("flat.ratio_to_quixstreams", f"flat.cc_stream.{RATE}", f"flat.quixstreams.{RATE}"),
    Ratio(
        "flat.ratio_to_kafka_streams_1", f"flat.cc_stream.{RATE}", f"flat.kafka_streams_1.{RATE}"
    ),
    Ratio(
        "flat.cpu_ratio_to_kafka_streams_eos",
        f"flat.kafka_streams_eos_2.{CPU}",
        f"flat.cc_stream.{CPU}",
    ),
)
"""The last one by CPU: theirs over ours, so that more is better everywhere."""
ALSO: Final = {
    "cpu.idle": "both_stages.idle_cpu_share",
    "cpu.at_1000": "latency.1000.worker_cpu_share",
    "views.redis_writes_per_second": "latency.1000.redis_writes_per_second",
    "views.metrics_bytes_per_second": "latency.1000.metrics_bytes_per_second",
}
"""Figures that are measured in the run of another one."""


class Results:
    """Figure → repetition → value. `failed`: what could not be measured."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, float]] = {}
        self.failed: list[str] = []

    def add(self, candidate: str, repetition: int, figures: dict[str, float]) -> None:
        """Add one repetition of a candidate."""
        for name, value in figures.items():
            self.values.setdefault(f"{candidate}.{name}", {})[repetition] = value

    def figures(self) -> dict[str, list[float]]:
        """Dotted name → values, the ratios among them."""
        found = {name: list(runs.values()) for name, runs in self.values.items()}
        found |= {name: found[of] for name, of in ALSO.items() if of in found}
        for ratio in RATIOS:
            over, under = (self.values.get(of, {}) for of in (ratio.over, ratio.under))
            both = sorted(over.keys() & under.keys())
            if both:
                found[ratio.name] = [over[n] / under[n] for n in both]
        return found

    def table(self) -> Table:
        """Every figure."""
        table = Table(title="bench", title_justify="left", box=box.SIMPLE)
        table.add_column("figure", no_wrap=True)
        for heading in ("min", "median", "max"):
            table.add_column(heading, justify="right", no_wrap=True)
        figures = self.figures()
        for name in sorted(figures):
            table.add_row(name, *texts(figures[name]))
        return table

    def aims(self) -> Table:
        """What is to be reached, and whether the median does."""
        table = Table(title="to reach", title_justify="left", box=box.SIMPLE)
        table.add_column("what")
        for heading in ("min", "median", "max", "floor", "aim", "reached"):
            table.add_column(heading, justify="right", no_wrap=True)
        figures = self.figures()
        for aim in AIMS:
            values = figures.get(aim.figure)
            if values:
                limits = f"{aim.floor:,}", f"{aim.aim:,}", aim.reached(median(values))
                table.add_row(aim.title, *texts(values), *limits)
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
        yield name, rounded(median(values))
        yield f"{name}_min", rounded(min(values))
        yield f"{name}_max", rounded(max(values))


def rounded(value: float) -> float:
    """Four digits say more than the measurement does."""
    return float(f"{value:.4g}") if abs(value) < 1_000 else round(value)


def texts(values: list[float]) -> list[str]:
    """Minimum, median and maximum as they are shown."""
    return [f"{rounded(of(values)):,}" for of in (min, median, max)]

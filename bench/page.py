"""The tables of docs/performance.md and its chart, made from `bench/results/latest.json`.

`python -m bench.page` writes them; a test holds the page and the chart equal to the file.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.aims import AIMS
from bench.chart import chart

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results" / "latest.json"
PAGE: Final = ROOT / "docs" / "performance.md"
CHART: Final = ROOT / "docs" / "performance.svg"
BEGIN: Final = "<!-- made by python -m bench.page: {} -->\n"
END: Final = "<!-- end -->\n"

Figures = dict[str, float]
"""Dotted name → value, `_min` and `_max` among them."""

FLAT: Final = {
    "flat.limit": "the limit: a bare loop, nothing durable",
    "flat.cc_stream": "**cc_stream's engine**, exactly once",
    "flat.kafka_streams_1": "Kafka Streams, in memory, at least once, 1 thread",
    "flat.kafka_streams_2": "the same, 2 threads",
    "flat.kafka_streams_rocksdb_1": "Kafka Streams, RocksDB, at least once, 1 thread",
    "flat.kafka_streams_eos_2": "Kafka Streams, in memory, exactly_once_v2, 2 threads",
    "flat.kafka_streams_rocksdb_eos_2": "Kafka Streams, RocksDB, exactly_once_v2, 2 threads",
    "flat.quixstreams": "quixstreams, by agent alone",
    "flat.stock_faust": "stock Faust, windowed tables",
}
REPLAY: Final = {
    "limit": "the limit: a bare loop, nothing durable",
    "both_stages": "**one worker**",
    "two_workers": "two workers",
}
LATENCY: Final = {
    "latency.1000": "1,000",
    "latency.5000": "5,000",
    "latency.10000": "10,000",
    "flush_ms.250.5000": "5,000, flushed every 250 ms",
    "flush_ms.500.5000": "5,000, flushed every 500 ms",
}
OTHERS: Final = {
    "recovery.records": "recovery: changelog records",
    "recovery.seconds": "recovery: s",
    "recovery.cpu_seconds": "recovery: CPU, s",
    "memory.bytes_per_open_contact": "bytes an open contact (200,000 of them)",
    "memory.bytes_per_agent": "bytes an agent with today and one rolling window",
    "backfill.events": "backfill: events of a day of 10,000 seats",
    "backfill.seconds": "backfill: s",
    "backfill.events_per_second": "backfill: events/s",
    "backfill_day.seconds": "the whole day, 8,000,000 events: s",
    "growth.us_per_event_at_10_agents": "CPU an event with 10 agents, µs",
    "growth.us_per_event_at_100_agents": "100 agents",
    "growth.us_per_event_at_1000_agents": "1,000 agents",
    "growth.us_per_event_at_10000_agents": "10,000 agents",
    "growth.slope_per_tenfold_agents": "slope: share of the mean by ten times the agents",
    "growth.us_per_event_at_1_hours": "CPU an event after 1 h of state, µs",
    "growth.us_per_event_at_8_hours": "8 h",
    "growth.us_per_event_at_24_hours": "24 h",
    "growth.slope_per_hour": "slope: share of the mean by hour",
    "scrape.stall_ms_at_2000": "longest stall of the loop with a scrape of 2,000 series, ms",
    "scrape.stall_ms_at_2000_without": "the same process without a scrape",
    "scrape.stall_ms_at_20000": "longest stall with a scrape of 20,000 series, ms",
    "scrape.stall_ms_at_20000_without": "the same process without a scrape",
    "scrape.seconds_at_20000": "a scrape of 20,000 series, s",
    "views.redis_writes_per_second": "Redis writes/s at 10,000 seats and 1,000 events/s",
    "views.metrics_bytes_per_second": "cc.metrics.v1, bytes/s as they lie on the broker, there",
    "cpu.idle": "idle worker, share of a core",
    "cpu.at_1000": "worker at 1,000 events/s, share of a core",
}


def figures_in(results: dict[str, Any], head: str = "") -> Figures:
    """The figures of a file of results by their dotted names."""
    found: Figures = {}
    for name, value in results.items():
        if isinstance(value, dict):
            found |= figures_in(value, f"{head}{name}.")
        elif isinstance(value, int | float):
            found[head + name] = value
    return found


def taken(results: dict[str, Any]) -> str:
    """When and on what the results were taken."""
    on = results["on"]
    return (
        f"Taken {results['taken'][:10]}: Python {on['python']}, Kafka {on['kafka']}, "
        f"{on['cpus']} cores shared by everything, {on['repetitions']} repetitions.\n"
    )


def _aims(figures: Figures) -> Iterator[Sequence[str]]:
    yield "what", "min", "median", "max", "floor", "aim", "reached"
    for aim in AIMS:
        sign = "≥" if aim.at_least else "≤"
        limits = f"{sign} {_number(aim.floor)}", f"{sign} {_number(aim.aim)}"
        value = figures.get(aim.figure)
        reached = "" if value is None else aim.reached(value)
        yield aim.title, *_three(figures, aim.figure), *limits, reached


def _rates(figures: Figures, names: dict[str, str]) -> Iterator[Sequence[str]]:
    yield "candidate", "events/s, min", "median", "max", "CPU µs an event"
    for name, title in names.items():
        cpu = _one(figures, f"{name}.cpu_us_per_event")
        yield title, *_three(figures, f"{name}.events_per_second"), cpu


def _latency(figures: Figures) -> Iterator[Sequence[str]]:
    yield "events/s", "p50 ms", "p99 ms", "p99.9 ms", "worker, share of a core", "load late, p99 ms"
    for name, title in LATENCY.items():
        shown = ("p50_ms", "p99_ms", "p999_ms", "worker_cpu_share", "load_late_p99_ms")
        yield title, *(_one(figures, f"{name}.{figure}") for figure in shown)


def _others(figures: Figures) -> Iterator[Sequence[str]]:
    yield "figure", "min", "median", "max"
    for name, title in OTHERS.items():
        yield title, *_three(figures, name)


def _three(figures: Figures, name: str) -> tuple[str, str, str]:
    return _one(figures, f"{name}_min"), _one(figures, name), _one(figures, f"{name}_max")


def _one(figures: Figures, name: str) -> str:
    value = figures.get(name)
    return "" if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _table(rows: Iterator[Sequence[str]]) -> str:
    head = next(rows)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(page: str, results: dict[str, Any]) -> str:
    """The page with every table of these results; ValueError if it lacks a mark."""
    figures = figures_in(results)
    made = {
        "taken": taken(results),
        "aims": _table(_aims(figures)),
        "replay": _table(_rates(figures, REPLAY)),
        "flat": _table(_rates(figures, FLAT)),
        "latency": _table(_latency(figures)),
        "others": _table(_others(figures)),
    }
    for name, table in made.items():
        begin = BEGIN.format(name)
        start = page.index(begin) + len(begin)
        page = page[:start] + table + page[page.index(END, start) :]
    return page


def drawn(results: dict[str, Any]) -> str:
    """The chart of flat work."""
    figures = figures_in(results)
    titles = {name: title.replace("*", "") for name, title in FLAT.items()}
    rates = {titles[name]: figures.get(f"{name}.events_per_second") for name in FLAT}
    return chart("Flat work, events/s", {k: v for k, v in rates.items() if v is not None})


def read() -> dict[str, Any]:
    """The results of the last full run."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), read()), encoding="utf-8")
    CHART.write_text(drawn(read()), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n{CHART}\n")

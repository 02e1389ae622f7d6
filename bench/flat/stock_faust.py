"""Flat work on stock Faust as its documentation has it: one event at a time, windowed tables.

Two tables, by agent and by team, in memory with a changelog; count, sums and maximum in one value;
windows by the call's own time.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import faust

from bench.flat.calls import FIFTIETH, PANE_MS, check, dump, provide
from bench.inputs import PARTITIONS, Input
from bench.place import Place, child, topics_removed

KEPT_SECONDS: Final = 86_400.0


async def run(place: Place, _given: Input, name: str) -> dict[str, float]:
    """Count a slice of the calls in a process of its own, and check every window.

    Raises:
        BenchError: it failed, or a window is wrong.
    """
    await provide(place, FIFTIETH)
    panes = place.folder / f"{name}.tsv"
    async with topics_removed(place, name):
        figures = await asyncio.to_thread(child, __name__, place.broker, name, panes)
        check(panes, FIFTIETH.total)
    return figures


class Call(faust.Record, serializer="json"):
    """One completed call."""

    id: str
    agent: str
    team: str
    queue: str
    handle_ms: int
    wait_ms: int
    time_ms: int


def _nothing() -> list[int]:
    return [0, 0, 0, 0]


def _with(sums: list[int], call: Call) -> list[int]:
    calls, handle_ms, wait_ms, longest_ms = sums
    return [
        calls + 1,
        handle_ms + call.handle_ms,
        wait_ms + call.wait_ms,
        max(longest_ms, call.wait_ms),
    ]


def _dump(tables: dict[str, Any], path: Path) -> None:
    """The key of a stored window is (name, (start, end)), in seconds."""
    stored = ((kind, *item) for kind, table in tables.items() for item in table.items())
    dump(path, (((kind, key[0], round(key[1][0] * 1000)), sums) for kind, key, sums in stored))


def _by_call_time(store: Any) -> Any:
    """The store as windows by the call's own time."""
    windows = store.tumbling(PANE_MS / 1_000, expires=KEPT_SECONDS, key_index=False)
    return windows.relative_to(lambda event: event.value.time_ms / 1_000)


def app_of(bootstrap: str, name: str, path: Path) -> faust.App:
    """An app that prints its figures at the end of the slice, and ends the process."""
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=path.parent / f"{name}-faust",
        topic_partitions=PARTITIONS,
        web_enabled=False,
    )
    calls = app.topic(FIFTIETH.topic, value_type=Call, key_serializer="raw")
    kinds = ("agent", "team")
    stores = {
        kind: app.Table(f"{kind}s", default=_nothing, partitions=PARTITIONS) for kind in kinds
    }
    agents, teams = (_by_call_time(store) for store in stores.values())
    seen, started, cpu = 0, 0.0, 0.0

    async def count(stream: Any) -> None:
        nonlocal seen, started, cpu
        async for call in stream:
            agents[call.agent] = _with(agents[call.agent].value(), call)
            teams[call.team] = _with(teams[call.team].value(), call)
            seen += 1
            if seen == FIFTIETH.warm:
                started, cpu = time.perf_counter(), time.process_time()
            if seen == FIFTIETH.total:
                seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
                timed = FIFTIETH.total - FIFTIETH.warm
                _dump(stores, path)
                figures = {
                    "events_per_second": timed / seconds,
                    "cpu_us_per_event": cpu / timed * 1e6,
                }
                print(json.dumps(figures), flush=True)
                os._exit(0)

    app.agent(calls)(count)
    return app


if __name__ == "__main__":
    worker = faust.Worker(
        app_of(sys.argv[1], sys.argv[2], Path(sys.argv[3])),
        loglevel="INFO",
        quiet=True,
        redirect_stdouts=False,
    )
    worker.execute_from_commandline()

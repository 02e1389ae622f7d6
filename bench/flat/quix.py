"""Flat work on quixstreams as its documentation has it: a tumbling reduce, changelog on.

By agent alone: its windows are by the key of a record, and to count by team too it would have to
send every call through a repartition topic first. So it does half of what the others do.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.flat.calls import PANE_MS, TENTH, Pane, check, dump, provide
from bench.inputs import Input
from bench.place import Place, child, topics_removed


async def run(place: Place, _given: Input, name: str) -> dict[str, float]:
    """Count a slice of the calls in a process of its own, and check every window of an agent.

    Raises:
        BenchError: it failed, or a window is wrong.
    """
    await provide(place, TENTH)
    panes = place.folder / f"{name}.tsv"
    async with topics_removed(place, f"changelog__{name}"):
        state = place.folder / name
        figures = await asyncio.to_thread(child, __name__, place.broker, name, panes, state)
        check(panes, TENTH.total, ("agent",))
    return figures


def _first(call: dict[str, Any]) -> list[int]:
    return [1, call["handle_ms"], call["wait_ms"], call["wait_ms"]]


def _with(sums: list[int], call: dict[str, Any]) -> list[int]:
    return [
        sums[0] + 1,
        sums[1] + call["handle_ms"],
        sums[2] + call["wait_ms"],
        max(sums[3], call["wait_ms"]),
    ]


class Seen:
    """The latest result of every window; prints the figures at the end, and ends the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.panes: dict[Pane, list[int]] = {}
        self.calls = 0
        self.started = self.cpu = 0.0

    def take(self, result: dict[str, Any], key: str, _timestamp: int, _headers: Any) -> None:
        """A window has changed: every call gives one result."""
        self.panes["agent", key, result["start"]] = result["value"]
        self.calls += 1
        if self.calls == TENTH.warm:
            self.started, self.cpu = time.perf_counter(), time.process_time()
        if self.calls == TENTH.total:
            seconds, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
            timed = TENTH.total - TENTH.warm
            dump(self.path, self.panes.items())
            figures = {"events_per_second": timed / seconds, "cpu_us_per_event": cpu / timed * 1e6}
            print(json.dumps(figures), flush=True)
            os._exit(0)


def main(bootstrap: str, name: str, path: Path, state: Path) -> None:
    """Run the application until the slice is counted."""
    # Here alone: it is in the bench's own environment and in no other.
    from quixstreams import Application  # noqa: PLC0415

    app = Application(
        broker_address=bootstrap,
        consumer_group=name,
        auto_offset_reset="earliest",
        state_dir=str(state),
        loglevel="WARNING",
        auto_create_topics=True,
    )
    calls = app.topic(
        TENTH.topic,
        key_deserializer="str",
        value_deserializer="json",
        timestamp_extractor=lambda value, _headers, _timestamp, _type: value["time_ms"],
    )
    windows = app.dataframe(calls).tumbling_window(duration_ms=PANE_MS)
    results = windows.reduce(reducer=_with, initializer=_first).current()
    results.update(Seen(path).take, metadata=True)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))

"""Stock Faust as its documentation shows it: one event at a time into one windowed table.

Events are counted by type in windows of 10 s, in a memory store with its changelog on Kafka. That
is far less than what both stages do, and still one table write an event.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any, Final

import faust

from bench.inputs import PARTITIONS, Input, write
from bench.place import Place, child, own_topics
from cc_stream.installation import topics_of

EVENTS: Final = 20_000
"""A slice of the input: the rate is what counts."""


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Write a slice of the input, and count it in a process of its own.

    Raises:
        BenchError: it failed.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        topic = topics_of(settings).calls.name
        events = given.events[:EVENTS]
        await write(place.broker, topic, events)
        return await asyncio.to_thread(child, __name__, place.broker, topic, name, len(events))


def app_of(bootstrap: str, topic: str, name: str, total: int) -> faust.App:
    """An app that prints its figures after `total` events, and ends the process."""
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_partitions=PARTITIONS,
        web_enabled=False,
    )
    events = app.topic(topic, value_serializer="json", key_serializer="raw")
    counts = app.Table("counts", default=int, partitions=PARTITIONS).tumbling(10.0, expires=3600.0)
    seen, started, cpu = 0, 0.0, 0.0

    async def count(stream: Any) -> None:
        nonlocal seen, started, cpu
        async for event in stream:
            if not seen:
                started, cpu = time.perf_counter(), time.process_time()
            counts[event["type"]] += 1
            seen += 1
            if seen == total:
                seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
                figures = {
                    "events_per_second": seen / seconds,
                    "cpu_us_per_event": cpu / seen * 1e6,
                }
                print(json.dumps(figures), flush=True)
                os._exit(0)

    app.agent(events)(count)
    return app


if __name__ == "__main__":
    worker = faust.Worker(
        app_of(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])),
        loglevel="INFO",
        quiet=True,
        redirect_stdouts=False,
    )
    worker.execute_from_commandline()

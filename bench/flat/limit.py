"""The limit of flat work: a bare aiokafka loop with the same decoding and the same sums.

No Faust, no transaction, no changelog, no deltas topic: what is combined goes to the windows
through the same packing, in one process, ten times a second.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.flat.calls import FULL, check, dump, provide
from bench.flat.core import Batch, Combined, Panes, calls_of, decode, encode
from bench.inputs import PARTITIONS, Input
from bench.place import Place, child
from streams.interpreter import tune_interpreter

FLUSH_SECONDS: Final = 0.1


async def run(place: Place, _given: Input, name: str) -> dict[str, float]:
    """Count the calls in a process of its own, and check every window.

    Raises:
        BenchError: it failed, or a window is wrong.
    """
    await provide(place, FULL)
    panes = place.folder / f"{name}.tsv"
    figures = await asyncio.to_thread(child, __name__, place.broker, panes)
    check(panes, FULL.total)
    return figures


def _pass_on(combined: Combined, panes: Panes) -> None:
    for board, rows in combined.split(PARTITIONS).items():
        panes.add(decode(encode(Batch("", board, len(rows), rows))).rows)


async def consume(bootstrap: str, path: Path) -> dict[str, float]:
    """Read all calls, count them, and say how fast that was after the warm ones."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    consumer.assign([TopicPartition(FULL.topic, partition) for partition in range(PARTITIONS)])
    await consumer.seek_to_beginning()
    combined, panes = Combined(), Panes()
    seen = warm = 0
    started = cpu = flushed = 0.0
    while seen < FULL.total:
        for records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).values():
            combined.add(calls_of(records))
            seen += len(records)
        if not warm and seen >= FULL.warm:
            warm, started, cpu = seen, time.perf_counter(), time.process_time()
        if time.perf_counter() - flushed > FLUSH_SECONDS:
            _pass_on(combined, panes)
            combined, flushed = Combined(), time.perf_counter()
    _pass_on(combined, panes)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await consumer.stop()
    dump(path, panes.all.items())
    return {
        "events_per_second": (seen - warm) / seconds,
        "cpu_us_per_event": cpu / (seen - warm) * 1e6,
    }


if __name__ == "__main__":
    tune_interpreter()
    print(json.dumps(asyncio.run(consume(sys.argv[1], Path(sys.argv[2])))))

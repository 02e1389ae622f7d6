"""The limit: a bare aiokafka loop with the same decoding and the same pure core, nothing durable.

No Faust, no transaction, no changelog, no board: what is learned is thrown away ten times a second.
"""

import asyncio
import gc
import json
import sys
import time
from typing import Any, Final, cast

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.inputs import PARTITIONS, Input, write
from bench.place import Place, child, own_topics
from cc_stream.admit import Admitted, Ledger, Limits, admit_call
from cc_stream.contracts import decode_chunk
from cc_stream.deltas import Deltas, split
from cc_stream.events import Event, Refused
from cc_stream.installation import topics_of

FLUSH_SECONDS: Final = 0.1


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Write the input, and read it in a process of its own.

    Raises:
        BenchError: it failed.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        topic = topics_of(settings).calls.name
        await write(place.broker, topic, given.records)
        return await asyncio.to_thread(child, __name__, place.broker, topic, len(given.records))


async def consume(bootstrap: str, topic: str, total: int) -> dict[str, float]:
    """Read `total` records, apply them, and say how fast that was."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer.assign(places)
    await consumer.seek_to_beginning()
    ledgers = {tp.partition: Ledger(Limits(), (tp.partition, PARTITIONS)) for tp in places}
    deltas, flushed, seen, admitted = Deltas(), 0.0, 0, 0
    started, cpu = time.perf_counter(), time.process_time()
    while seen < total:
        fetched = await consumer.getmany(timeout_ms=200, max_records=5_000)
        for tp, records in fetched.items():
            admitted += _apply(ledgers[tp.partition], deltas, records)
            seen += len(records)
        if time.perf_counter() - flushed > FLUSH_SECONDS:
            split(deltas, PARTITIONS)
            deltas, flushed = Deltas(), time.perf_counter()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await consumer.stop()
    return {
        "events_per_second": seen / seconds,
        "cpu_us_per_event": cpu / seen * 1e6,
        "admitted": admitted,
    }


def _apply(ledger: Ledger, deltas: Deltas, records: list[Any]) -> int:
    admitted = 0
    outcomes, _ = decode_chunk(records)
    for record, outcome in zip(records, outcomes, strict=True):
        if type(outcome) is Refused:
            continue
        verdict = admit_call(ledger, cast("Event", outcome), record.key, record.timestamp)
        if type(verdict) is Admitted:
            admitted += 1
            for fact in verdict.change.taken_back:
                deltas.add(fact, verdict.log[0], -1)
            for fact in verdict.change.added:
                deltas.add(fact, verdict.log[0], 1)
    return admitted


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 100)  # as the worker
    print(json.dumps(asyncio.run(consume(sys.argv[1], sys.argv[2], int(sys.argv[3])))))

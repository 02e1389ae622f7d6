"""The limit: a bare aiokafka loop with the same decoding and the same pure core of both stages.

In it: `getmany`, `decode_chunk`, `admit_call` (which packs the logs), `Deltas.add`; ten times a
second `split`, `encode`, and on the board's side `decode`, `Rows.add`, `Rows.spread`. Not in it:
Faust, transactions, changelogs, contact records, dead letters, the deltas topic, and everything
that is shown.
"""

import asyncio
import json
import sys
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.inputs import PARTITIONS, Input, write
from bench.place import Place, child, own_topics
from cc_stream.admit import Admitted, Ledger, Limits, admit_call
from cc_stream.contracts import decode_chunk
from cc_stream.deltas import Batch, Deltas, decode, encode, split
from cc_stream.events import Refused
from cc_stream.installation import topics_of
from cc_stream.reference import DEFAULT_TERMS
from streams.board.rows import Rows
from streams.floor.intake import FINE_FOR_MS
from streams.interpreter import tune_interpreter

FLUSH_SECONDS: Final = 0.1
HISTORY: Final = True


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Write the input, and read it in a process of its own.

    Raises:
        BenchError: it failed.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        topic = topics_of(settings).calls.name
        await write(place.broker, topic, given.records)
        counts = len(given.reference), len(given.records)
        return await asyncio.to_thread(child, __name__, place.broker, topic, *counts)


async def consume(bootstrap: str, topic: str, known: int, total: int) -> dict[str, float]:
    """Read `total` records, apply them, and say how fast that was after the `known` ones."""
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
    now_ms = time.time_ns() // 1_000_000
    boards = [Rows(now_ms, lambda _entity: DEFAULT_TERMS, "60m") for _ in range(PARTITIONS)]
    deltas, seen, warm = Deltas(), 0, 0
    started = cpu = flushed = 0.0
    while seen < total:
        fetched = await consumer.getmany(timeout_ms=200, max_records=5_000)
        for tp, records in fetched.items():
            deltas.fine_from_ms = records[0].timestamp - FINE_FOR_MS
            _apply(ledgers[tp.partition], deltas, records)
            seen += len(records)
        if not warm and seen >= known:
            warm, started, cpu = seen, time.perf_counter(), time.process_time()
        if seen >= total or time.perf_counter() - flushed > FLUSH_SECONDS:
            _pass_on(deltas, boards)
            deltas, flushed = Deltas(), time.perf_counter()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await consumer.stop()
    return {
        "events_per_second": (seen - warm) / seconds,
        "cpu_us_per_event": cpu / (seen - warm) * 1e6,
    }


def _apply(ledger: Ledger, deltas: Deltas, records: list[Any]) -> None:
    outcomes, _ = decode_chunk(records)
    for record, outcome in zip(records, outcomes, strict=True):
        if type(outcome) is Refused:
            continue
        verdict = admit_call(ledger, outcome, record.key, record.timestamp)
        if type(verdict) is Admitted:
            deltas.take(verdict.change, verdict.log[0])


def _pass_on(deltas: Deltas, boards: list[Rows]) -> None:
    for board, parts in split(deltas, PARTITIONS).items():
        rows = boards[board]
        for vectors, times in parts:
            batch = decode(encode(Batch("", 0, 0, {}, None, HISTORY, 0, vectors, times, [])))
            rows.add(batch.vectors, from_agents=False)
            for name, state, start_ms, end_ms, n in batch.times:
                rows.spread(name, state, start_ms, end_ms, n)


if __name__ == "__main__":
    tune_interpreter()
    arguments = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    print(json.dumps(asyncio.run(consume(*arguments))))

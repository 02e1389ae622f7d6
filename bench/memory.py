"""Bytes in memory: an open contact of the floor, and an agent of the board.

Both by how much the process grows (resident), in a process that does nothing else: what is freed
before would be used again and hide a part.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import orjson

from bench.inputs import PARTITIONS, Input
from bench.line import Line, Rec, records_of
from bench.place import BenchError, Place, child, resident_bytes
from cc_stream.admit import Limits
from cc_stream.config import load_settings
from cc_stream.events import to_rfc3339
from cc_stream.partitioner import partition_of
from cc_stream.telemetry import Telemetry
from cc_stream.topics import topics
from streams.board import Board, board_plan
from streams.floor import Calls, Plan
from streams.interpreter import tune_interpreter

CONTACTS: Final = 200_000
WARM: Final = 1_000
CHUNK: Final = 1_000
AGENTS: Final = 10_000
EVENTS: Final = 200_000
"""Of 1,000 seats, five hours: the day of some 1,100 agents so far, and their last hour."""


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Measure both, each in a process of its own.

    Raises:
        BenchError: one failed.
    """
    deltas = place.folder / f"{name}.deltas"
    await asyncio.to_thread(_write_deltas, given, deltas)
    figures = await asyncio.to_thread(child, __name__, "contacts")
    return figures | await asyncio.to_thread(child, __name__, "agents", deltas)


def _write_deltas(given: Input, path: Path) -> None:
    """What the floor tells the board, as lines of MessagePack: (time, value)."""
    reference = [sent for sent in given.reference if not sent[0]]
    line = Line(0)
    wanted = line.topics.deltas.name
    records = list(records_of(reference + given.events[:EVENTS]))
    with path.open("wb") as out:
        packer = msgspec.msgpack.Encoder()
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            line.calls.apply(chunk)
            now_ms = chunk[-1].timestamp
            for write in line.calls.cut(now_ms).writes:
                if write.topic == wanted:
                    packed = packer.encode((now_ms, write.value))
                    out.write(len(packed).to_bytes(4) + packed)


def _contacts(first: int, count: int) -> Iterator[Rec]:
    """Contacts that are talking (queued, offered, answered), from number `first` on."""
    now_ms = time.time_ns() // 1_000_000
    for number in range(first, first + count):
        contact, agent = f"5b478d4a-{number:06x}", f"agent-{number % AGENTS}"
        leg = {"contact_id": contact, "agent_id": agent, "segment_id": f"{contact}.1"}
        queued = {"contact_id": contact, "queue": "service", "channel": "voice"}
        key = contact.encode()
        for step, (kind, data) in enumerate(
            (("queued", queued), ("offered", {**leg, "queue": "service"}), ("answered", leg)), 1
        ):
            event = {
                "specversion": "1.0",
                "source": "/simulator/floor-1",
                "id": f"{contact}-{step}",
                "type": f"cc.call.{kind}.v1",
                "time": to_rfc3339(now_ms - 10_000 + step * 1_000),
                "subject": contact,
                "data": data,
            }
            partition = partition_of(key, PARTITIONS)
            yield Rec(key, orjson.dumps(event), now_ms, number * 3 + step, partition=partition)


def _fill(shards: list[Calls], records: Iterator[Rec]) -> None:
    """Apply and flush as shards do, a chunk at a time."""
    while chunk := list(islice(records, CHUNK)):
        for shard in shards:
            own = [record for record in chunk if record.partition == shard.partition]
            if own:
                shard.apply(own)
            shard.cut(0)


def contacts() -> dict[str, float]:
    """Four shards of calls, as the product has them: some logs at hand, the others packed."""
    plan = Plan(topics(calls=PARTITIONS), Limits(), Telemetry())
    shards = [Calls(plan, partition) for partition in range(PARTITIONS)]
    _fill(shards, _contacts(0, WARM))
    gc.collect()
    before = resident_bytes()
    _fill(shards, _contacts(WARM, CONTACTS))
    gc.collect()
    used = resident_bytes() - before
    known = sum(len(shard.ledger.contacts) for shard in shards)
    if known != WARM + CONTACTS:
        raise BenchError(f"{known:,} contacts are open, not {WARM + CONTACTS:,}")
    return {"contacts": CONTACTS, "bytes_per_open_contact": used / CONTACTS}


def agents(path: Path) -> dict[str, float]:
    """One board shard that was told of five hours, with teams and queues."""
    board: Board | None = None
    before = 0
    with path.open("rb") as deltas:
        for offset, size in enumerate(iter(lambda: deltas.read(4), b"")):
            now_ms, value = msgspec.msgpack.decode(deltas.read(int.from_bytes(size)))
            if board is None:
                plan = board_plan(load_settings(), topics(calls=1, agents=1, board=1))
                board = Board(plan, 0, now_ms)
                gc.collect()
                before = resident_bytes()
            board.apply([Rec(None, value, now_ms, offset)])
            if board.is_dirty(now_ms):
                deque(board.cut(now_ms).writes, maxlen=0)
    gc.collect()
    used = resident_bytes() - before
    assert board is not None
    known = sum(row.entity.kind == "agent" for row in board.rows.all.values())
    return {"agents": known, "bytes_per_agent": used / known}


if __name__ == "__main__":
    tune_interpreter()
    measured = contacts() if sys.argv[1] == "contacts" else agents(Path(sys.argv[2]))
    print(json.dumps(measured))

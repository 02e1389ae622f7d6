"""Bytes per open contact (queued, offered, answered) in a calls shard of the floor.

Two ways: what the process grows by (resident), and what Python's allocator was asked for (traced),
which does not depend on the machine. And two states: at hand, as logs that are read at once, and
packed, as most contacts lie.
"""

import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final
from unittest.mock import patch

import orjson
from msgspec import Struct

from bench.inputs import Input
from bench.place import Place, child, resident_bytes
from cc_stream.admit import Limits
from cc_stream.events import to_rfc3339
from cc_stream.telemetry import Telemetry
from cc_stream.topics import topics
from streams.floor import Calls, Plan

CONTACTS: Final = 50_000
TRACED: Final = 10_000
"""Tracing is slow, and exact: fewer contacts say the same."""
WARM: Final = 1_000
CHUNK: Final = 1_000
AGENTS: Final = 10_000


class Rec(Struct):
    """A record as a shard is given it."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int
    topic: str = "calls"
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


async def run(_place: Place, _given: Input, _name: str) -> dict[str, float]:
    """Measure both states, each in a process of its own.

    Raises:
        BenchError: one failed.
    """
    figures: dict[str, float] = {}
    for state in ("at_hand", "packed"):
        figures |= await asyncio.to_thread(child, __name__, state)
    return figures


def _records(first: int) -> Iterator[Rec]:
    """Contacts that are talking, from number `first` on; three events each."""
    now_ms = time.time_ns() // 1_000_000
    for number in range(first, first + CONTACTS):
        contact, agent = f"5b478d4a-{number:06x}", f"agent-{number % AGENTS}"
        leg = {"contact_id": contact, "agent_id": agent, "segment_id": f"{contact}.1"}
        queued = {"contact_id": contact, "queue": "service", "channel": "voice"}
        for step, (kind, data) in enumerate(
            (("queued", queued), ("offered", {**leg, "queue": "service"}), ("answered", leg)), 1
        ):
            at_ms = now_ms - 10_000 + step * 1_000
            event = {
                "specversion": "1.0",
                "source": "/simulator/floor-1",
                "id": f"{contact}-{step}",
                "type": f"cc.call.{kind}.v1",
                "time": to_rfc3339(at_ms),
                "subject": contact,
                "data": data,
            }
            yield Rec(contact.encode(), orjson.dumps(event), now_ms, number * 3 + step)


def _fill(calls: Calls, first: int, contacts: int) -> None:
    """Apply and flush as a shard does, a chunk at a time."""
    records = islice(_records(first), contacts * 3)
    while chunk := list(islice(records, CHUNK)):
        calls.apply(chunk)
        calls.cut(0)


def _grown(at_hand: int, contacts: int, measure: Callable[[], int]) -> float:
    """Bytes that so many contacts add, by a measure of what is used."""
    with patch.object(sys.modules[Calls.__module__], "AT_HAND", at_hand):
        plan = Plan(topics(calls=1), Limits(), Telemetry())
        calls = Calls(plan, 0)
        _fill(calls, 0, WARM)
        gc.collect()
        before = measure()
        _fill(calls, WARM, contacts)
        gc.collect()
        used = float(measure() - before)
    known = len(calls.ledger.contacts)
    if known != WARM + contacts:
        message = f"{known} contacts are open, not {WARM + contacts}"
        raise AssertionError(message)
    return used / contacts


def _traced() -> int:
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    state = sys.argv[1]
    kept = 0 if state == "packed" else CONTACTS + WARM
    found = {f"bytes_per_open_contact_{state}": _grown(kept, CONTACTS, resident_bytes)}
    tracemalloc.start()
    found[f"traced_bytes_{state}"] = _grown(kept, TRACED, _traced)
    print(json.dumps(found))

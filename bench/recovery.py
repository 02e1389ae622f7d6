"""How long a worker takes to load 1,000,000 changelog records: contacts, and panes of boards.

Keys and values are those that the stages themselves write for a small floor, under other names: so
many contacts three times each, as it lies before the broker has compacted it, and the panes of as
many agents as it takes. All shards are taken at once, as after a start.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from bench.inputs import PARTITIONS, Input, Sent, write
from bench.line import Line, records_of
from bench.place import BenchError, Place, child, own_topics
from cc_stream.config import Settings, load_settings
from cc_stream.installation import topics_of
from cc_stream.panes import COARSE_MS, FINE_PER_COARSE
from cc_stream.telemetry import Telemetry
from streams.app import create_worker
from streams.interpreter import tune_interpreter
from streams.stage import POSITION_KEY, Write

RECORDS: Final = 1_000_000
CONTACTS: Final = 200_000
VERSIONS: Final = 3
SAMPLE: Final = 20_000
"""Events whose contacts and panes are the pattern."""
LOAD_SECONDS: Final = 150.0
LOOK_SECONDS: Final = 0.005

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder().decode


async def run(place: Place, given: Input, name: str) -> dict[str, float]:
    """Write the changelogs, and load them in a process of its own.

    Raises:
        BenchError: it failed, or not all records were loaded.
    """
    settings = place.settings(name)
    async with own_topics(place, settings):
        await asyncio.to_thread(lambda: asyncio.run(_provide(place, settings, given)))
        return await asyncio.to_thread(child, __name__, place.broker, name)


async def _provide(place: Place, settings: Settings, given: Input) -> None:
    records = list(records_of([s for s in given.reference if not s[0]] + given.events[:SAMPLE]))
    line = Line(records[-SAMPLE].timestamp)
    written = line.feed(records)
    wanted, now_ms = topics_of(settings), time.time_ns() // 1_000_000
    age_ms = (now_ms - records[-1].timestamp) // COARSE_MS * COARSE_MS
    floor = {"numbers": [0] * wanted.deltas.partitions, "streams": line.calls.ledger.stream_ms}
    board = {"numbers": {}, "begun_ms": {}, "sources": {}, "now_ms": now_ms}
    contacts = [w for w in written if w.topic == line.topics.contacts_changelog.name]
    panes = [w for w in written if w.topic == line.topics.panes_changelog.name]
    positions = _positions(floor, now_ms), _positions(board, now_ms)
    await write(place.broker, wanted.contacts_changelog.name, [*_contacts(contacts), *positions[0]])
    await write(place.broker, wanted.panes_changelog.name, [*_panes(panes, age_ms), *positions[1]])


def _positions(memory: dict[str, Any], now_ms: int) -> Iterator[Sent]:
    packed = _pack({"next": 0, "generation_ms": now_ms, "memory": memory})
    for partition in range(PARTITIONS):
        yield partition, POSITION_KEY, packed


def _contacts(pattern: list[Write]) -> Iterator[Sent]:
    """Every contact under a name of its own."""
    logs = [(_unpack(w.key), w.value) for w in pattern if w.key and w.value]
    logs = [(key, value) for key, value in logs if key[0] == b"c"]
    for _ in range(VERSIONS):
        for number in range(CONTACTS):
            (kind, tenant, _), value = logs[number % len(logs)]
            yield number % PARTITIONS, _pack((kind, tenant, f"contact-{number:07}")), value


def _panes(pattern: list[Write], age_ms: int) -> Iterator[Sent]:
    """The agents' panes as if they were of now, under other names until there are enough."""
    panes = {w.key: w.value for w in pattern if w.key and w.value}
    stored = [(_unpack(key), value) for key, value in panes.items()]
    agents = [(key, value) for key, value in stored if key[0] == b"p" and key[2] == "agent"]
    for number in range(RECORDS - CONTACTS * VERSIONS):
        (kind, tenant, of, agent, team, resolution, pane), value = agents[number % len(agents)]
        coarse = age_ms // COARSE_MS
        later = {"fine": coarse * FINE_PER_COARSE, "coarse": coarse, "live": 0}[resolution]
        name = f"{agent}-{number // len(agents)}"
        key = _pack((kind, tenant, of, name, team, resolution, pane + later))
        yield number % PARTITIONS, key, value


async def load(settings: Settings) -> dict[str, float]:
    """Take all shards, as a worker does that is alone.

    Raises:
        BenchError: that took too long, or not all records were there.
    """
    telemetry = Telemetry()
    owner = create_worker(settings, (), telemetry).owner
    owner.seek = _nowhere
    wanted = topics_of(settings)
    sources = (wanted.calls, wanted.agents, wanted.reference, wanted.deltas)
    every = [TopicPartition(of.name, p) for of in sources for p in range(of.partitions)]
    started, cpu = time.perf_counter(), time.process_time()
    owner.assign(every)
    deadline = time.monotonic() + LOAD_SECONDS
    while len(owner.live()) < len(every):
        if time.monotonic() > deadline:
            raise BenchError(f"not loaded in {LOAD_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await owner.close()
    families = telemetry.registry.collect()
    samples = [sample for family in families for sample in family.samples]
    loaded = sum(s.value for s in samples if s.name == "cc_loaded_records_total")
    if loaded < RECORDS:
        raise BenchError(f"{loaded:,.0f} records were loaded, not {RECORDS:,}")
    return {"records": loaded, "seconds": seconds, "cpu_seconds": cpu}


async def _nowhere(_tp: TopicPartition, _offset: int) -> None:
    """No group's consumer runs here that could be moved."""


if __name__ == "__main__":
    tune_interpreter()
    asked = load_settings(
        broker=sys.argv[1],
        app_id=sys.argv[2],
        topic_prefix=sys.argv[2],
        calls_partitions=PARTITIONS,
    )
    print(json.dumps(asyncio.run(load(asked))))

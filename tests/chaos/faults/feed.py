"""Faults of what comes in: poison, a clock that is ahead, too much at once."""

from random import Random
from typing import Final

import orjson

from cc_stream.events import to_rfc3339
from cc_stream.partitioner import partition_of
from cc_stream.simulate.kafka import wall_clock_ms
from tests.chaos.faults.fault import Fault, World
from tests.chaos.floor import Floor
from tests.chaos.letters import POISON
from tests.chaos.load import Sent
from tests.chaos.worker import DEFECT, UNDECODABLE

AHEAD_MS: Final = 600_000
NEIGHBOURS: Final = 20
BURST: Final = 100
BURST_SECONDS: Final = 5.0


def queued(floor: Floor, contact: str, source: str, at_ms: int, note: str = "") -> Sent:
    """A contact enters a queue."""
    event = {
        "specversion": "1.0",
        "id": contact,
        "source": source,
        "type": "cc.call.queued.v1",
        "time": to_rfc3339(at_ms),
        "data": {"contact_id": contact, "queue": "sales"},
    }
    if note:
        event["dataschema"] = note
    return Sent(floor.topics.calls, contact.encode(), orjson.dumps(event))


async def _among_good_ones(world: World, random: Random, contact: str, note: str = "") -> None:
    """One poison record between good ones of its own partition."""
    now_ms, name = wall_clock_ms(), f"{random.getrandbits(64):x}"
    poison = f"{contact}-{name}"
    partitions = world.floor.topics.calls.partitions
    home = partition_of(poison.encode(), partitions)
    good = [
        contact
        for contact in (f"neighbour-{name}-{number}" for number in range(partitions * NEIGHBOURS))
        if partition_of(contact.encode(), partitions) == home
    ]
    records = [queued(world.floor, contact, f"/chaos/{name}", now_ms) for contact in good]
    at = random.randrange(len(records))
    records.insert(at, queued(world.floor, poison, f"/chaos/{name}", now_ms, note))
    places = await world.load.send(records)
    world.promised[places[at]] = POISON


async def poison_record(world: World, random: Random) -> None:
    """A record that meets a bug of the program once it was admitted."""
    await _among_good_ones(world, random, DEFECT)


async def poison_batch(world: World, random: Random) -> None:
    """A record that kills the decoder of every chunk that it is in."""
    await _among_good_ones(world, random, "contact", UNDECODABLE.decode())


async def clock_ahead(world: World, random: Random) -> None:
    """A source whose clock is ten minutes ahead: dead letters, and nobody else's time moves."""
    name, ahead_ms = f"{random.getrandbits(64):x}", wall_clock_ms() + AHEAD_MS
    records = [
        queued(world.floor, f"ahead-{name}-{number}", f"/chaos/{name}", ahead_ms + number)
        for number in range(NEIGHBOURS)
    ]
    for place in await world.load.send(records):
        world.promised[place] = "future"


async def overload(world: World, _random: Random) -> None:
    """A hundred times the load for five seconds."""
    await world.load.burst(BURST, BURST_SECONDS)


FAULTS: Final = (
    Fault("poison_record", "a record that meets a bug of the program", poison_record),
    Fault("poison_batch", "a record that kills the decoder of its chunk", poison_batch),
    Fault("clock_ahead", "the clock of one source is ten minutes ahead", clock_ahead),
    Fault("overload", "100 × the load for 5 s", overload),
)

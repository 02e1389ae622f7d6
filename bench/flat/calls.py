"""The input of flat work, its plain sum, and the check of what a candidate counted.

One record is one completed call. The key is the agent and the team decides the partition, so that
nobody has to send a record on to another partition: to the advantage of those who would have to.
"""

import random
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final
from zlib import crc32

import orjson
from msgspec import Struct

from bench.inputs import PARTITIONS, Sent, write
from bench.place import BenchError, Place
from cc_stream.topics import Topic, provision

CALLS: Final = 600_000
WARM: Final = 250_000
"""Not timed: a JVM compiles meanwhile, and everybody has joined, loaded and fetched."""
AGENTS: Final = 1_000
TEAMS: Final = 40
CALLS_PER_SECOND: Final = 1_000
"""Of event time: a window of 10 s has ten calls of an agent. More would flatter whoever combines
before writing, and fewer whoever does not."""
PANE_MS: Final = 10_000
QUEUES: Final = ("sales", "service", "support", "billing")

Pane = tuple[str, str, int]
"""`agent` or `team`, its name, the start of the window in milliseconds."""
Sums = list[int]
"""Calls, Σ handle time, Σ wait, the longest wait; milliseconds."""


class Load(Struct, frozen=True):
    """A topic that is full of calls. `warm`: so many records are read before the clock runs."""

    topic: str
    total: int
    warm: int


FULL: Final = Load("bench-flat-calls", CALLS, WARM)
# Slower engines take a slice of the same calls: the rate is what counts.
TENTH: Final = Load("bench-flat-tenth", 60_000, 10_000)
FIFTIETH: Final = Load("bench-flat-fiftieth", 12_000, 2_000)


@cache
def calls() -> list[Sent]:
    """The same calls for everybody, in order of their time, until now."""
    chance = random.Random(7)  # noqa: S311 - the same input every time
    end_ms = time.time_ns() // 1_000_000 // PANE_MS * PANE_MS
    from_ms = end_ms - CALLS * 1_000 // CALLS_PER_SECOND
    found = []
    for number in range(CALLS):
        agent = chance.randrange(AGENTS)
        name, team = f"agent-{agent:04}", f"team-{agent % TEAMS:02}"
        call = {
            "id": f"call-{number:08x}",
            "agent": name,
            "team": team,
            "queue": QUEUES[number % len(QUEUES)],
            "handle_ms": chance.randrange(5_000, 600_000),
            "wait_ms": chance.randrange(120_000),
            "time_ms": from_ms + number * 1_000 // CALLS_PER_SECOND,
        }
        found.append((crc32(team.encode()) % PARTITIONS, name.encode(), orjson.dumps(call)))
    return found


@cache
def expected(total: int) -> dict[Pane, Sums]:
    """The plain sum over the first `total` calls."""
    panes: dict[Pane, Sums] = {}
    for _, _, value in calls()[:total]:
        call = orjson.loads(value)
        start_ms = call["time_ms"] // PANE_MS * PANE_MS
        for kind in ("agent", "team"):
            sums = panes.setdefault((kind, call[kind], start_ms), [0, 0, 0, 0])
            sums[0] += 1
            sums[1] += call["handle_ms"]
            sums[2] += call["wait_ms"]
            sums[3] = max(sums[3], call["wait_ms"])
    return panes


_written: Final[set[str]] = set()


async def provide(place: Place, load: Load) -> None:
    """Put the calls on their topic, the first time that it is asked for."""
    if load.topic in _written:
        return
    await provision(place.broker, (Topic(load.topic, PARTITIONS, {}, "agent", "completed calls"),))
    await write(place.broker, load.topic, calls()[: load.total])
    _written.add(load.topic)


def dump(path: Path, panes: Iterable[tuple[Pane, Iterable[int]]]) -> None:
    """Write windows as lines of tab-separated fields."""
    lines = ("\t".join(map(str, (*pane, *sums))) for pane, sums in panes)
    path.write_text("".join(f"{line}\n" for line in lines))


def _read(path: Path) -> Iterator[tuple[Pane, Sums]]:
    for line in path.read_text().splitlines():
        kind, name, start_ms, *sums = line.split("\t")
        yield (kind, name, int(start_ms)), [int(n) for n in sums]


def check(path: Path, total: int, kinds: tuple[str, ...] = ("agent", "team")) -> None:
    """Hold what a candidate counted against the plain sum, window by window.

    Raises:
        BenchError: they are not equal.
    """
    counted = dict(_read(path))
    wanted = {pane: sums for pane, sums in expected(total).items() if pane[0] in kinds}
    if counted != wanted:
        wrong = [p for p in wanted.keys() | counted.keys() if wanted.get(p) != counted.get(p)]
        first = min(wrong)
        raise BenchError(
            f"{len(wrong)} of {len(wanted)} windows are wrong; {first} is {counted.get(first)}, "
            f"not {wanted.get(first)}"
        )

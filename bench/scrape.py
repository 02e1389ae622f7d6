"""Does a scrape of `/metrics` with many series hold up the event loop?

A loop that wants to be woken every millisecond shares its process with the page; another process
scrapes. What is told is the longest time that the loop was not woken.
"""

import asyncio
import gc
import json
import math
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Final

from msgspec import structs
from prometheus_client import generate_latest

from bench.inputs import Input, simulated
from bench.line import Line, records_of
from bench.place import BenchError, Place, child
from cc_stream.sinks.prometheus import PrometheusSink
from cc_stream.sinks.sink import Update
from cc_stream.telemetry import Telemetry
from streams.interpreter import tune_interpreter

if TYPE_CHECKING:
    from cc_stream.view import View

SERIES: Final = (2_000, 20_000)
SCRAPES: Final = 5
TICK_SECONDS: Final = 0.001
QUIET_SECONDS: Final = 2.0
EVENTS: Final = 5_000
SCRAPE_SECONDS: Final = 30.0


async def run(_place: Place, _given: Input, _name: str) -> dict[str, float]:
    """Measure each size in a process of its own.

    Raises:
        BenchError: one failed.
    """
    figures: dict[str, float] = {}
    for series in SERIES:
        figures |= await asyncio.to_thread(child, __name__, series)
    return figures


def _shown() -> Update:
    """What a board shows of a small floor."""
    given = simulated(EVENTS, 100)
    records = list(records_of([s for s in given.reference if not s[0]] + given.events))
    line = Line(records[-EVENTS].timestamp)
    line.feed(records)
    update = line.board.tick(records[-1].timestamp)
    assert update is not None
    return update


def _of_agents(update: Update, count: int) -> Update:
    """The same with the views of so many agents, under other names when they run out."""
    agents: dict[str, list[View]] = {}
    for view in update.views:
        if view.entity.kind == "agent":
            agents.setdefault(view.entity.id, []).append(view)
    known = list(agents.values())
    views = []
    for number in range(count):
        for view in known[number % len(known)]:
            entity = structs.replace(view.entity, id=f"agent-{number}")
            views.append(structs.replace(view, entity=entity))
    return structs.replace(update, views=views, whole=True)


async def _page(update: Update, agents: int) -> tuple[Telemetry, int]:
    """A page with so many agents, and how many series it has of them."""
    telemetry = Telemetry()
    await PrometheusSink(telemetry.registry, agent_labels=True).publish(_of_agents(update, agents))
    lines = generate_latest(telemetry.registry).splitlines()
    return telemetry, sum(b'agent="' in line for line in lines)


async def _longest_gap_ms(done: asyncio.Future[None]) -> float:
    longest = 0.0
    last = time.perf_counter()
    while not done.done():
        await asyncio.sleep(TICK_SECONDS)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest * 1_000


async def measured(wanted: int) -> dict[str, float]:
    """The longest gap without a scrape and with some, at so many series."""
    update = _shown()
    _, of_ten = await _page(update, 10)
    telemetry, series = await _page(update, math.ceil(wanted * 10 / of_ten))
    gc.collect()
    served = telemetry.serve("127.0.0.1", 0)
    quiet_ms = await _longest_gap_ms(asyncio.ensure_future(asyncio.sleep(QUIET_SECONDS)))
    scraper = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, "get", served.url, stdout=asyncio.subprocess.PIPE
    )
    told = asyncio.ensure_future(scraper.communicate())
    stalled_ms = await _longest_gap_ms(told)  # type: ignore[arg-type]
    served.close()
    if scraper.returncode:
        raise BenchError("the page could not be read")
    return {
        f"series_at_{wanted}": series,
        f"stall_ms_at_{wanted}": stalled_ms,
        f"stall_ms_at_{wanted}_without": quiet_ms,
        f"seconds_at_{wanted}": float((await told)[0]),
    }


def _get(url: str) -> float:
    """Seconds of one scrape, of some."""
    started = time.perf_counter()
    for _ in range(SCRAPES):
        with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS) as answer:  # noqa: S310
            answer.read()
    return (time.perf_counter() - started) / SCRAPES


if __name__ == "__main__":
    if sys.argv[1] == "get":
        print(_get(sys.argv[2]))
    else:
        tune_interpreter()
        print(json.dumps(asyncio.run(measured(int(sys.argv[1])))))

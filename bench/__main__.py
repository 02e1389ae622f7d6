"""`python -m bench`: every candidate in turn, again and again, on one Kafka and one Redis.

The full run writes `bench/results/latest.json`; a part of it is only printed.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Final

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError
from rich.console import Console

from bench import both_stages, latency, limit, memory, stock_faust
from bench.inputs import Input, simulated
from bench.place import Place, servers
from bench.results import Results
from cc_stream.errors import CcStreamError

Figures = dict[str, float]
Run = Callable[[Place, Input, str], Coroutine[None, None, Figures]]
CANDIDATES: Final[dict[str, Run]] = {
    "both_stages": both_stages.run,
    "stock_faust": stock_faust.run,
    "limit": limit.run,
    "latency.1000": latency.run,
    "memory": memory.run,
}
EVENTS: Final = 150_000
REPETITIONS: Final = 3
SHOWN: Final = 4
"""Figures in the line of a repetition; the table has all."""


def main() -> int:
    """Run what was asked for; 1 when something could not be measured."""
    asked = _arguments()
    # A topic has no leader for some milliseconds after it was made: aiokafka tells each attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console()
    chosen = [name for name in CANDIDATES if not asked.only or name.startswith(tuple(asked.only))]
    started = time.monotonic()
    try:
        with console.status("simulating contacts"):
            given = simulated(asked.events)
        each = len(given.events) / given.contacts
        console.print(f"{len(given.events):,} events, {each:.1f} a contact")
        results = _measure(console, chosen, given, asked.repetitions)
    except CcStreamError as error:
        Console(stderr=True).print(f"bench: {error}", markup=False)
        return 1
    console.print(results.table())
    console.print(f"{time.monotonic() - started:.0f} s; of {asked.repetitions} repetitions each")
    if results.failed:
        console.print(f"failed, so nothing is written: {', '.join(results.failed)}")
        return 1
    if len(chosen) == len(CANDIDATES):
        path = results.write({"events": asked.events, "repetitions": asked.repetitions})
        console.print(f"written: {path.parent.name}/{path.name}")
    return 0


def _measure(console: Console, chosen: list[str], given: Input, repetitions: int) -> Results:
    results = Results()
    with ExitStack() as held:
        with console.status("starting Kafka and Redis"):
            place = held.enter_context(servers())
        for repetition in range(1, repetitions + 1):
            for name in chosen:
                title = f"{repetition}/{repetitions} {name}"
                app_id = f"bench-{name.replace('.', '-')}-{repetition}"
                try:
                    with console.status(title):
                        figures = asyncio.run(CANDIDATES[name](place, given, app_id))
                except (CcStreamError, KafkaError, RedisError, OSError) as error:
                    console.print(f"{title} FAILED: {error!r}", markup=False)
                    results.failed.append(title)
                    continue
                results.add(name, repetition, figures)
                shown = ", ".join(f"{k} {v:,.1f}" for k, v in list(figures.items())[:SHOWN])
                console.print(f"{title}: {shown}", highlight=False)
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    heads = [name.partition(".")[0] for name in CANDIDATES]
    parser.add_argument("--only", action="append", choices=heads, help="may be repeated")
    parser.add_argument("--events", type=_positive, default=EVENTS, help="size of the replay")
    parser.add_argument("--repetitions", type=_positive, default=REPETITIONS)
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench`: every candidate in turn, again and again, on one Kafka and one Redis.

The full run writes `bench/results/latest.json`; a part of it is only printed.
"""

import argparse
import asyncio
import logging
import sys
import time
from contextlib import ExitStack
from typing import Final

from aiokafka.errors import KafkaError
from redis.exceptions import RedisError
from rich.console import Console

from bench.aims import AIMS
from bench.candidates import CANDIDATES, Candidate, Figures
from bench.inputs import Input, simulated
from bench.place import Place, StalledError, servers
from bench.results import Results
from cc_stream.errors import CcStreamError

EVENTS: Final = 300_000
"""Of a replay: some seconds for one worker."""
REPETITIONS: Final = 3
SHOWN: Final = 4
"""Figures in the line of a repetition; the table has all."""


def main() -> int:
    """Run what was asked for; 1 when something could not be measured."""
    asked = _arguments()
    # A topic has no leader for some milliseconds after it was made: aiokafka tells each attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console()
    chosen = {
        name: candidate
        for name, candidate in CANDIDATES.items()
        if (_is_named(name, asked.only) if asked.only else not candidate.on_request)
    }
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
    console.print(results.aims())
    console.print(f"{time.monotonic() - started:.0f} s; of {asked.repetitions} repetitions")
    if not asked.only:
        missing = {aim.figure for aim in AIMS} - results.figures().keys()
        results.failed += sorted(missing)
    if results.failed:
        console.print(f"failed, so nothing is written: {', '.join(results.failed)}")
        return 1
    if not asked.only:
        path = results.write({"events": asked.events, "repetitions": asked.repetitions})
        console.print(f"written: {path.parent.name}/{path.name}")
    return 0


def _measure(
    console: Console, chosen: dict[str, Candidate], given: Input, repetitions: int
) -> Results:
    results = Results()
    with ExitStack() as held:
        with console.status("starting Kafka and Redis"):
            place = held.enter_context(servers())
        if any(candidate.needs_broker for candidate in chosen.values()):
            # What a JVM compiles at first takes a third of a core.
            with console.status("warming up the broker: one run of latency, thrown away"):
                _run(CANDIDATES["latency"], place, given, "bench-warm-up")
        for repetition in range(1, repetitions + 1):
            for name, candidate in chosen.items():
                if repetition > candidate.at_most:
                    continue
                title = f"{repetition}/{min(repetitions, candidate.at_most)} {name}"
                app_id = f"bench-{name.replace('.', '-').replace('_', '-')}-{repetition}"
                began = time.monotonic()
                try:
                    with console.status(title):
                        figures = _run(candidate, place, given, app_id)
                except (CcStreamError, KafkaError, RedisError, OSError) as error:
                    console.print(f"{title} FAILED: {error!r}", markup=False)
                    results.failed.append(title)
                    continue
                results.add(name, repetition, figures)
                shown = ", ".join(f"{k} {v:,.2f}" for k, v in list(figures.items())[:SHOWN])
                took = time.monotonic() - began
                console.print(f"{title}: {shown} ({took:.0f} s)", highlight=False, soft_wrap=True)
    return results


def _run(candidate: Candidate, place: Place, given: Input, app_id: str) -> Figures:
    """One repetition; a candidate that only stalls is tried a second time, from the start."""
    try:
        return asyncio.run(candidate.run(place, given, app_id))
    except StalledError as error:
        print(f"once more: {error}")
        return asyncio.run(candidate.run(place, given, f"{app_id}-again"))


def _is_named(name: str, heads: list[str]) -> bool:
    return any(name == head or name.startswith(f"{head}.") for head in heads)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", help="a name, or its levels before a dot; may be repeated"
    )
    parser.add_argument("--events", type=_positive, default=EVENTS, help="size of the replay")
    parser.add_argument("--repetitions", type=_positive, default=REPETITIONS)
    asked = parser.parse_args()
    for head in asked.only or ():
        if not any(_is_named(name, [head]) for name in CANDIDATES):
            parser.error(f"no candidate is called {head!r}: {', '.join(CANDIDATES)}")
    return asked


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())

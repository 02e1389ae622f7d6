"""The floor of a demo: its reference data, the day until now, real time, and its end.

| step | function |
|---|---|
| reference data, copied by the workers before the first event | `_open` |
| the day until now at full speed, then real time | `_write`, one task for both |
| the screen, or lines of text, until Ctrl-C or the time is up | `_watch` |
| the simulator ends, the line drains, one last tick, live = report | `_close` |
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import typer
from aiokafka.errors import KafkaError
from msgspec import Struct

from cc_stream.cli import drain
from cc_stream.cli.moments import midnight_ms
from cc_stream.cli.progress import bar
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.cli.simulate import floor_of
from cc_stream.errors import CcStreamError
from cc_stream.installation import limits_of, terms_of_settings, topics_of
from cc_stream.report.live import compare_live
from cc_stream.report.oracle import Rules
from cc_stream.simulate.floor import arrivals
from cc_stream.simulate.kafka import WriteProgress, wall_clock_ms, write_reference, write_to_kafka
from cc_stream.simulate.people import people_of
from cc_stream.simulate.plan import SimulationSettings
from cc_stream.simulate.reference import reference
from cc_stream.simulate.reference_copied import wait_for_reference
from cc_stream.sinks import open_reader

if TYPE_CHECKING:
    from cc_stream.cli.demo_servers import WorkerProcess
    from cc_stream.config import Settings

HOUR_MS: Final = 3_600_000
LEAST_HOURS: Final = 3
COPY_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 120.0
TICK_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2


class Plan(Struct, frozen=True, kw_only=True):
    """What a demo shows. `seconds` None: until Ctrl-C; `hours` None: since midnight, at least 3."""

    seats: int
    seed: int
    hours: float | None
    seconds: float | None
    screen: bool


class Run(Struct):
    """A demo while it runs. `writing` is the simulator; `stop` ends it."""

    plan: Plan
    settings: "Settings"
    simulated: SimulationSettings
    from_ms: int
    workers: Sequence["WorkerProcess"]
    stop: asyncio.Event
    reached: WriteProgress | None = None
    writing: "asyncio.Task[int] | None" = None

    def check(self) -> None:
        """Raise what has ended the demo, if anything has.

        Raises:
            CcStreamError: a worker ended, or the simulator failed.
        """
        for worker in self.workers:
            if not worker.running:
                raise CcStreamError(worker.why_ended())
        if self.writing is not None and self.writing.done():
            self.writing.result()

    async def scrape(self) -> Scrape:
        """The metrics of all workers together."""
        self.check()
        return await asyncio.to_thread(scrape, [worker.url for worker in self.workers])


def opening_ms(plan: Plan, settings: "Settings", now_ms: int) -> int:
    """When the floor opened, milliseconds UTC."""
    if plan.hours is not None:
        return now_ms - max(1, round(plan.hours * HOUR_MS))
    midnight = midnight_ms(ZoneInfo(settings.timezone), now_ms)
    return min(midnight, now_ms - LEAST_HOURS * HOUR_MS)


def floor(plan: Plan, settings: "Settings", workers: Sequence["WorkerProcess"]) -> int:
    """Run the floor to its end and return the exit code of the demo.

    Raises:
        CcStreamError: Kafka, a worker or the simulator failed.
        KeyboardInterrupt: Ctrl-C; the simulator has ended.
    """
    simulated = floor_of(settings, plan.seats, plan.seed)
    from_ms = opening_ms(plan, settings, wall_clock_ms())
    try:
        return asyncio.run(_floor(plan, settings, simulated, from_ms, workers))
    except KafkaError as error:
        raise CcStreamError(f"Kafka at {settings.broker}: {error}") from error


async def _floor(
    plan: Plan,
    settings: "Settings",
    simulated: SimulationSettings,
    from_ms: int,
    workers: Sequence["WorkerProcess"],
) -> int:
    run = Run(plan, settings, simulated, from_ms, workers, asyncio.Event())
    await _open(run)
    run.writing = asyncio.create_task(_write(run))
    try:
        await _history(run)
        await _watch(run)
    finally:
        run.stop.set()
        with contextlib.suppress(KafkaError):  # told by `check` where nothing else is told
            await run.writing
    return await _close(run)


async def _open(run: Run) -> None:
    """Write the reference data and wait until every shard will meet it before the first event."""
    topics, security = topics_of(run.settings), run.settings.kafka_security()
    records = list(reference(run.simulated, run.from_ms))
    await write_reference(records, run.settings.broker, topics, security=security)
    copied = await wait_for_reference(
        records, run.settings.broker, topics, deadline_seconds=COPY_SECONDS, security=security
    )
    run.check()
    if not copied:
        raise CcStreamError(
            f"the worker did not copy the reference data in {COPY_SECONDS:.0f} s; "
            f"see {run.workers[0].log_path}"
        )
    typer.echo(f"reference data of {run.plan.seats} seats, {len(records):,} records")


async def _write(run: Run) -> int:
    """The whole simulator: the past at full speed, then real time until `stop`."""

    def heard(reached: WriteProgress) -> None:
        run.reached = reached

    return await write_to_kafka(
        arrivals(run.simulated, run.from_ms),
        run.settings.broker,
        topics_of(run.settings),
        from_ms=run.from_ms,
        realtime=True,
        progress=heard,
        stop=run.stop,
        security=run.settings.kafka_security(),
    )


async def _history(run: Run) -> None:
    """Show how the day until now is written."""
    started = time.monotonic()
    with bar("the day until now") as update:
        while run.reached is None or not run.reached.live:
            run.check()
            reached = run.reached
            if reached is not None:
                done, whole = reached.reached_ms - run.from_ms, reached.until_ms - run.from_ms
                update(done, whole, f"{reached.events:,} events")
            await asyncio.sleep(POLL_SECONDS)
    seconds = time.monotonic() - started
    hours = (run.reached.reached_ms - run.from_ms) / HOUR_MS
    typer.echo(
        f"the day until now: {hours:.1f} h, {run.reached.events:,} events in {seconds:.1f} s"
    )


async def _watch(run: Run) -> None:
    """Real time, until Ctrl-C or the time is up."""
    from cc_stream.cli.board import show
    from cc_stream.cli.live import Live

    end = None if run.plan.seconds is None else time.monotonic() + run.plan.seconds

    def is_over() -> bool:
        run.check()
        return end is not None and time.monotonic() >= end

    if not run.plan.screen:
        typer.echo("live" + ("; Ctrl-C ends it" if end is None else f" for {run.plan.seconds:g} s"))
        while not is_over():  # noqa: ASYNC110 - looks at processes, too
            await asyncio.sleep(POLL_SECONDS)
        return
    urls = [worker.url for worker in run.workers]
    title = f"demo, {run.plan.seats} seats"
    names = {person.id: person.name for person in people_of(run.simulated)}
    async with Live(run.settings, urls, title, names) as live:
        await show(live, is_over)


async def _close(run: Run) -> int:
    """Let the line drain, ask for one last tick, and compare what is live with the report."""
    started = time.monotonic()
    settings, topics = run.settings, topics_of(run.settings)
    run.writing = None
    typer.echo("the simulator has ended; the line drains")
    await drain.wait_for_floor(run.scrape, topics, DRAIN_SECONDS)
    reader = open_reader(settings)
    try:

        async def as_of() -> dict[int, int]:
            run.check()
            return {shard: status.as_of_ms for shard, status in (await reader.shards()).items()}

        await drain.show_one_moment(settings, topics, as_of, TICK_SECONDS)
        typer.echo(f"drained, and every board of one moment, in {time.monotonic() - started:.1f} s")
        compared = await compare_live(
            reader,
            settings.broker,
            topics,
            limits_of(settings),
            _rules(settings),
            security=settings.kafka_security(),
        )
    finally:
        await reader.close()
    typer.echo(compared.text())
    return 0 if compared.is_proof else 1


def _rules(settings: "Settings") -> Rules:
    return Rules(
        terms_of_settings(settings),
        settings.leaderboard_minimum_sample,
        settings.leaderboard_size,
    )

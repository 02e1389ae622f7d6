"""`cc-stream demo`: a simulated floor on real servers, from nothing to live boards."""

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.cli import options

if TYPE_CHECKING:
    from cc_stream.cli.demo_servers import Addresses
    from cc_stream.config import Settings

NAME: Final = "demo"
EXAMPLES: Final = options.examples(
    ("cc-stream demo", "200 seats, live, until Ctrl-C"),
    ("cc-stream demo --seconds 30 --no-screen", "then compare with the batch report"),
    ("cc-stream demo --broker kafka:9092 --redis redis://redis/5", "on servers of your own"),
)
DATA: Final = Path(".data")


def command(
    seats: Annotated[int, typer.Option(metavar="N", help="Workplaces of the floor.")] = 200,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="N", min=0, help="Stop after so long, and compare with the batch report."
        ),
    ] = None,
    no_screen: Annotated[
        bool,
        typer.Option(
            "--no-screen", help="Print what happens, line by line, as where stdout is no terminal."
        ),
    ] = False,
    hours: Annotated[
        float | None,
        typer.Option(
            metavar="H", min=0, help="The floor opened so long ago; default midnight, at least 3."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another floor.")] = 1,
    workers: Annotated[int, typer.Option(metavar="N", min=1, max=16, help="Worker processes.")] = 1,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="For the servers' data and what is fetched.")
    ] = DATA,
    broker: options.Broker = None,
    redis: options.Redis = None,
    timezone: options.Timezone = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Start Kafka, Redis, a worker and a simulated floor, and show it live.

    The floor has been open for hours: the day until now is written at full speed, then it goes on
    in real time. Needs Java 17 or newer and Maven, or --broker and --redis. Ctrl-C stops all of it.
    """
    given = options.given(set_, timezone=timezone)
    servers = options.given(None, broker=broker, redis=redis)
    wished = options.load(settings, {**given, **servers})

    from cc_stream.cli.demo_floor import Plan, floor
    from cc_stream.cli.demo_servers import workers as worker_processes
    from cc_stream.cli.simulate import floor_of
    from cc_stream.local.folder import run_folder

    floor_of(wished, seats, seed)  # a mistake is told before anything is started
    screen = not no_screen and sys.stdout.isatty()  # a pipe or a file gets lines
    plan = Plan(seats=seats, seed=seed, hours=hours, seconds=seconds, screen=screen)
    with ExitStack() as running:
        folder = running.enter_context(run_folder(data))
        addresses = _servers(running, data, folder, broker, redis)
        overrides = {**given, **_names(addresses)}
        loaded = options.load(settings, overrides)
        typer.echo(f"Kafka at {loaded.broker}, Redis at {loaded.redis_shown}")
        options.export(overrides)
        _make_topics(loaded)
        started = running.enter_context(worker_processes(folder, workers))
        typer.echo(f"worker ready, metrics at {', '.join(each.url for each in started)}")
        try:
            code = floor(plan, loaded, started)
        except KeyboardInterrupt:
            typer.echo("stopping")
            raise
    raise typer.Exit(code)


def _servers(
    running: ExitStack, data: Path, folder: Path, broker: str | None, redis: str | None
) -> "Addresses":
    """Start what is needed, with a bar while Kafka is fetched, and say where everything is."""
    from cc_stream.cli.demo_servers import kafka_and_redis
    from cc_stream.cli.progress import bar
    from cc_stream.local.folder import downloads_folder

    with bar("fetching Kafka, once", in_bytes=True) as update:

        def progress(done: int, expected: int) -> None:
            update(done, expected, "")

        return running.enter_context(
            kafka_and_redis(folder, downloads_folder(data), broker, redis, progress)
        )


def _make_topics(settings: "Settings") -> None:
    import asyncio

    from cc_stream.installation import topics_of
    from cc_stream.topics import provision

    made = provision(
        settings.broker,
        topics_of(settings),
        replication=settings.replication,
        security=settings.kafka_security(),
    )
    typer.echo(f"{len(asyncio.run(made))} topics made under {settings.topic_prefix}.")


def _names(addresses: "Addresses") -> dict[str, object]:
    """Settings by which this floor shares nothing with an earlier one on the same servers."""
    names: dict[str, object] = {"broker": addresses.broker, "redis": addresses.redis}
    if addresses.is_shared:
        unique = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        names |= {"topic_prefix": unique, "app_id": unique}
    return names

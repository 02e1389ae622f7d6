"""`cc-stream simulate`: events of a floor that does not exist, to Kafka or to a file."""

import asyncio
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from cc_stream.cli import options
from cc_stream.cli.moments import midnight_ms, moment_ms
from cc_stream.errors import CcStreamError, ConfigError

if TYPE_CHECKING:
    from cc_stream.config import Settings
    from cc_stream.simulate.kafka import WriteProgress
    from cc_stream.simulate.plan import SimulationSettings

NAME: Final = "simulate"
EXAMPLES: Final = options.examples(
    ("cc-stream simulate --kafka --from 00:00 --realtime", "the day so far, then as it happens"),
    ("cc-stream simulate --ndjson day.ndjson --from -8h", "eight hours into a file"),
    ("cc-stream simulate --ndjson - --seats 20 --no-faults | head", "look at the events"),
)
WAIT_SECONDS: Final = 15.0
FAULTS: Final = "Faults of the feed"
FLOOR: Final = "Floor"


class Span(NamedTuple):
    """What is simulated: `[from_ms, to_ms)`, without end when that is None."""

    from_ms: int
    to_ms: int | None
    realtime: bool


def _floor(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=FLOOR)


def _fault(text: str) -> Any:
    return typer.Option(metavar="SHARE", help=text, rich_help_panel=FAULTS, show_default=False)


def command(
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Write to the event topics, reference data first.")
    ] = False,
    ndjson: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one event a line; - is stdout.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="The floor opens; default midnight, or now."),
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="TIME", help="End; default now, or never.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="What has not happened yet is waited for.")
    ] = False,
    seats: Annotated[int, _floor("N", "Workplaces; the load follows.")] = 200,
    seed: Annotated[int, _floor("N", "The same seed and start give the same events.")] = 1,
    teams: Annotated[str | None, _floor("A,B,…", "Names of the teams.")] = None,
    load: Annotated[float, _floor("X", "1 is about 82 % occupancy at 200 seats.")] = 1.0,
    closed_at_night: Annotated[
        bool, typer.Option("--closed-at-night", help="4 % of the peak.", rich_help_panel=FLOOR)
    ] = False,
    disorder: Annotated[float | None, _fault("Delayed events.")] = None,
    duplicates: Annotated[float | None, _fault("Events sent twice.")] = None,
    bad: Annotated[float | None, _fault("Payloads that nobody may accept.")] = None,
    missing_ends: Annotated[float | None, _fault("Ends that never arrive.")] = None,
    restated: Annotated[float | None, _fault("Outcomes corrected later.")] = None,
    no_faults: Annotated[
        bool, typer.Option("--no-faults", help="A perfect feed.", rich_help_panel=FAULTS)
    ] = False,
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    timezone: options.Timezone = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Simulate a floor: calls, agents, sales, surveys, and a feed with faults.

    Writes either to Kafka or to a file, as fast as it can, or with --realtime as it happens.
    """
    if kafka == (ndjson is not None):
        raise ConfigError("simulate: give either --kafka or --ndjson FILE")
    if ndjson is not None and realtime:
        raise ConfigError("simulate: --realtime needs --kafka")
    overrides = options.given(set_, broker=broker, topic_prefix=topic_prefix, timezone=timezone)
    loaded = options.load(settings, overrides)
    shares = {
        "disorder": disorder, "duplicates": duplicates, "bad": bad,
        "missing_ends": missing_ends, "restated": restated,
    }  # fmt: skip
    floor = floor_of(loaded, seats, seed, teams, load=load, closed_at_night=closed_at_night)
    floor = with_faults(floor, shares, perfect=no_faults)
    span = span_of(loaded, from_, to, realtime=realtime)
    if ndjson is not None:
        _to_file(floor, span, ndjson)
    else:
        asyncio.run(_to_kafka(floor, span, loaded))


def floor_of(
    settings: "Settings",
    seats: int,
    seed: int,
    teams: str | None = None,
    *,
    load: float = 1.0,
    closed_at_night: bool = False,
) -> "SimulationSettings":
    """The floor that the options describe, in the time zone of the settings.

    Raises:
        ConfigError: a number or name is out of bounds.
    """
    from cc_stream.simulate.plan import SimulationSettings

    named: dict[str, Any] = {}
    if teams is not None:
        named["teams"] = tuple(name.strip() for name in teams.split(","))
    return SimulationSettings(
        seats=seats,
        seed=seed,
        load=load,
        always_open=not closed_at_night,
        timezone=settings.timezone,
        **named,
    )


def with_faults(
    floor: "SimulationSettings", shares: dict[str, float | None], *, perfect: bool
) -> "SimulationSettings":
    """The floor with those shares (0…1) that are given; `perfect` begins from none at all.

    Raises:
        ConfigError: a share is out of bounds.
    """
    import msgspec

    from cc_stream.simulate.plan import NO_FAULTS, Faults

    base = msgspec.structs.asdict(NO_FAULTS if perfect else floor.faults)
    given = {name: share for name, share in shares.items() if share is not None}
    return msgspec.structs.replace(floor, faults=Faults(**{**base, **given}))


def span_of(settings: "Settings", from_: str | None, to: str | None, *, realtime: bool) -> Span:
    """What the options say of time.

    Raises:
        ConfigError: a time cannot be read, or the end is not after the start.
    """
    from zoneinfo import ZoneInfo

    zone, now_ms = ZoneInfo(settings.timezone), time.time_ns() // 1_000_000
    default_from = now_ms if realtime else midnight_ms(zone, now_ms)
    from_ms = default_from if from_ is None else moment_ms(from_, zone, now_ms)
    to_ms = (None if realtime else now_ms) if to is None else moment_ms(to, zone, now_ms)
    if to_ms is not None and to_ms <= from_ms:
        raise ConfigError("simulate: --to must be after --from")
    return Span(from_ms, to_ms, realtime)


def _to_file(floor: "SimulationSettings", span: Span, path: str) -> None:
    from cc_stream.cli.progress import bar
    from cc_stream.simulate.floor import arrivals
    from cc_stream.simulate.ndjson import write_ndjson
    from cc_stream.simulate.reference import reference

    records = chain(reference(floor, span.from_ms), arrivals(floor, span.from_ms, span.to_ms))
    whole_ms = (span.to_ms or span.from_ms) - span.from_ms
    with bar("simulating") as update:

        def progress(events: int, at_ms: int) -> None:
            update(at_ms - span.from_ms, whole_ms, f"{events:,} events")

        if path == "-":
            count = write_ndjson(records, sys.stdout.buffer, progress)
            sys.stdout.flush()
        else:
            try:
                with Path(path).open("wb") as file:
                    count = write_ndjson(records, file, progress)
            except OSError as error:
                raise CcStreamError(f"{path}: {error.strerror}") from error
    typer.echo(f"{count:,} events written", err=True)


async def _to_kafka(floor: "SimulationSettings", span: Span, settings: "Settings") -> None:
    from aiokafka.errors import KafkaError

    from cc_stream.cli.progress import bar
    from cc_stream.installation import topics_of
    from cc_stream.simulate.floor import arrivals
    from cc_stream.simulate.kafka import write_to_kafka

    topics = topics_of(settings)
    try:
        await _reference(floor, span, settings)
        with bar("simulating") as update:

            def progress(reached: "WriteProgress") -> None:
                text = f"{reached.events:,} events" + (", live" if reached.live else "")
                update(reached.reached_ms - span.from_ms, reached.until_ms - span.from_ms, text)

            count = await write_to_kafka(
                arrivals(floor, span.from_ms, span.to_ms),
                settings.broker,
                topics,
                from_ms=span.from_ms,
                to_ms=span.to_ms,
                realtime=span.realtime,
                progress=progress,
                security=settings.kafka_security(),
            )
    except KafkaError as error:
        raise CcStreamError(f"Kafka at {settings.broker}: {error}") from error
    typer.echo(f"{count:,} events written", err=True)


async def _reference(floor: "SimulationSettings", span: Span, settings: "Settings") -> None:
    """Write the reference data and give a worker the time to copy it before the first event."""
    from cc_stream.installation import topics_of
    from cc_stream.simulate.kafka import write_reference
    from cc_stream.simulate.reference import reference
    from cc_stream.simulate.reference_copied import wait_for_reference

    topics, security = topics_of(settings), settings.kafka_security()
    records = list(reference(floor, span.from_ms))
    await write_reference(records, settings.broker, topics, security=security)
    typer.echo(f"{len(records):,} records of reference data, waiting for a worker", err=True)
    copied = await wait_for_reference(
        records, settings.broker, topics, deadline_seconds=WAIT_SECONDS, security=security
    )
    if not copied:
        typer.echo(
            "no worker has copied the reference data: until one does, agents are in team "
            "`unassigned` and queues have default settings",
            err=True,
        )

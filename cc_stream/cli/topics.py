"""`cc-stream topics`: what has to be on the broker, making it, checking it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.cli import options

if TYPE_CHECKING:
    from cc_stream.config import Settings
    from cc_stream.topics import Topics

NAME: Final = "topics"
EXAMPLES: Final = options.examples(
    ("cc-stream topics", "list them with their configuration; asks no broker"),
    ("cc-stream topics --create --broker kafka:9092", "make those that are missing"),
    ("cc-stream topics --check", "exit code 1 when one is missing or differs"),
)


def command(
    create: Annotated[
        bool, typer.Option("--create", help="Make the topics that are missing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the broker; changes nothing.")
    ] = False,
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """List the topics, or make them, or check them."""
    from cc_stream.installation import topics_of

    overrides = options.given(set_, broker=broker, topic_prefix=topic_prefix)
    loaded = options.load(settings, overrides)
    wanted = topics_of(loaded)
    if create:
        _create(loaded, wanted)
    if check:
        _check(loaded, wanted)
    if not (create or check):
        _show(wanted)


def _create(settings: "Settings", wanted: "Topics") -> None:
    from cc_stream.topics import provision

    made = asyncio.run(
        provision(
            settings.broker,
            wanted,
            replication=settings.replication,
            security=settings.kafka_security(),
        )
    )
    for name in made:
        typer.echo(f"made {name}")
    typer.echo(f"{len(made)} topics made, {len(list(wanted)) - len(made)} were there")


def _check(settings: "Settings", wanted: "Topics") -> None:
    from cc_stream.topics import check

    findings = asyncio.run(check(settings.broker, wanted, security=settings.kafka_security()))
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{len(list(wanted))} topics are as they have to be")


def _show(wanted: "Topics") -> None:
    for topic in wanted:
        parts = f"{topic.partitions} partition{'s' * (topic.partitions > 1)}"
        typer.secho(topic.name, bold=True, nl=False)
        typer.echo(f"  {parts}, key {topic.key}: {topic.doc}")
        config = " ".join(f"{name}={value}" for name, value in topic.config.items())
        typer.secho(f"    {config}", dim=True)

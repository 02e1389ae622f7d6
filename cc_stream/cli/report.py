"""`cc-stream report`: the same numbers as the stream, computed plainly from all events."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from cc_stream.cli import options
from cc_stream.errors import ConfigError

NAME: Final = "report"
EXAMPLES: Final = options.examples(
    ("cc-stream report asterisk-queue-log queue_log --by agent", "offline, no broker"),
    ("cc-stream report events day.ndjson --window 1h --format csv", "canonical events, any order"),
    ("cc-stream report --topic --by team", "what lies on Kafka, admitted as the worker does"),
)


def command(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="asterisk-queue-log or events.")
    ] = None,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE...")] = None,
    topic: Annotated[bool, typer.Option("--topic", help="Read the event topics.")] = False,
    by: Annotated[
        str, typer.Option(metavar="KIND", help="queue, agent, team, campaign or floor.")
    ] = "queue",
    window: Annotated[str, typer.Option(metavar="W", help="all, 15m, 1h or 1d.")] = "all",
    tz: Annotated[
        str | None, typer.Option(metavar="ZONE", help="For days and the table; default UTC.")
    ] = None,
    attribution: Annotated[
        str, typer.Option(metavar="MODE", help="event: its own moment; start: queue entry.")
    ] = "event",
    as_of: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What is open ends here; default the last event."),
    ] = None,
    service_level_seconds: Annotated[
        int | None, typer.Option(metavar="T", help="Answered within T; default the queue's, 20.")
    ] = None,
    short_abandon_seconds: Annotated[
        int | None, typer.Option(metavar="S", help="Abandoned within S; default the queue's, 5.")
    ] = None,
    output: Annotated[
        str, typer.Option("--format", metavar="F", help="table, json or csv.")
    ] = "table",
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Whose events a vendor's file holds.")
    ] = "default",
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Report queues, agents, teams, campaigns or the floor from files, or from Kafka."""
    if topic == (source is not None):
        raise ConfigError("report: give either SOURCE FILE... or --topic")
    from cc_stream.installation import limits_of, terms_of_settings, topics_of
    from cc_stream.report.command import ask_of, report_files, report_topics

    overrides = options.given(set_, broker=broker, topic_prefix=topic_prefix)
    loaded = options.load(settings, overrides)
    ask = ask_of(
        by=by,
        window=window,
        timezone=tz or loaded.timezone,
        attribution=attribution,
        as_of=as_of,
        service_level_seconds=service_level_seconds,
        short_abandon_seconds=short_abandon_seconds,
        terms=terms_of_settings(loaded),
    )
    if source is not None:
        report_files(source, files or [], ask, output, sys.stdout, sys.stderr, tenant)
        return
    asyncio.run(
        report_topics(
            loaded.broker, topics_of(loaded), limits_of(loaded), ask, output,
            sys.stdout, sys.stderr, loaded.kafka_security(),
        )
    )  # fmt: skip

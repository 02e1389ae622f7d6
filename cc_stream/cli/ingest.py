"""`cc-stream ingest`: a source's file to Kafka, each line exactly once."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.cli import options
from cc_stream.errors import ConfigError

if TYPE_CHECKING:
    from cc_stream.config import Settings
    from cc_stream.ingest import Feed, Ingested
    from cc_stream.sources.source import AnySource

NAME: Final = "ingest"
EXAMPLES: Final = options.examples(
    ("cc-stream ingest asterisk-queue-log queue_log", "once, up to the end of the file"),
    (
        "cc-stream ingest asterisk-queue-log /var/log/asterisk/queue_log --follow",
        "over rotations and restarts",
    ),
)


def command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="What wrote it: asterisk-queue-log.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more lines, over rotations too.")
    ] = False,
    source_id: Annotated[
        str | None,
        typer.Option(metavar="URI", help="CloudEvents source: one for each exchange."),
    ] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose events.")] = "default",
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Put a source's file on Kafka and remember how far it was read.

    A second run goes on where the first one stopped: no line is lost or repeated. The topics have
    to be there: see `topics`.
    """
    known = source_of(source)
    if not file.is_file():
        raise ConfigError(f"{file}: no such file")
    overrides = options.given(set_, broker=broker, topic_prefix=topic_prefix)
    feed = _feed(options.load(settings, overrides), known, file, source_id, tenant)
    done = asyncio.run(_ingest(feed, follow=follow))
    typer.echo(_summary(done), err=True)


def source_of(name: str) -> "AnySource":
    """The source of that name.

    Raises:
        ConfigError: there is none.
    """
    from cc_stream.sources import SOURCES

    for source in SOURCES:
        if source.name == name:
            return source
    names = ", ".join(source.name for source in SOURCES)
    raise ConfigError(f"unknown source {name!r}: expected {names}")


def _feed(
    settings: "Settings", source: "AnySource", file: Path, source_id: str | None, tenant: str
) -> "Feed":
    from cc_stream.ingest import Feed
    from cc_stream.installation import topics_of
    from cc_stream.sources.source import Options

    key = settings.caller_hash_key
    return Feed(
        bootstrap=settings.broker,
        topics=topics_of(settings),
        source=source,
        options=Options(
            source=source_id or source.default_source,
            tenant=tenant,
            caller_hash_key=b"" if key is None else key.get_secret_value().encode(),
        ),
        path=file,
        security=settings.kafka_security(),
    )


async def _ingest(feed: "Feed", *, follow: bool) -> "Ingested":
    from cc_stream.cli.progress import bar
    from cc_stream.ingest import ingest

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # end after the transaction under way
        loop.add_signal_handler(number, stop.set)
    with bar(feed.path.name, in_bytes=True) as update:

        def progress(done: "Ingested") -> None:
            update(done.bytes_done, done.bytes_total, f"{done.events:,} events")

        return await ingest(feed, follow=follow, stop=stop, progress=progress)


def _summary(done: "Ingested") -> str:
    ignored = sum(done.ignored.values())
    text = f"{done.lines:,} lines: {done.events:,} events, {ignored:,} without one"
    if done.refused:
        text += f", {done.refused:,} refused (see the dead letters)"
    if done.gaps:
        text += f", {done.gaps} gaps: lines may be lost"
    return text

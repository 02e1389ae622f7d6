"""`cc-stream worker`: the stream processor itself."""

import os
import sys
from typing import Annotated, Final

import typer

from cc_stream.cli import options

NAME: Final = "worker"
EXAMPLES: Final = options.examples(
    ("cc-stream worker --broker kafka:9092 --redis redis://redis/0", "both stages, all partitions"),
    ("cc-stream worker --metrics-port 9465", "a second one on the same machine shares the work"),
    ("cc-stream worker --set flush_seconds=0.1", "any setting of docs/settings.md"),
)
MODULE: Final = "streams.worker"


def command(
    broker: options.Broker = None,
    redis: options.Redis = None,
    topic_prefix: options.TopicPrefix = None,
    app_id: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Workers of one name share the partitions.",
            rich_help_panel=options.PANEL,
        ),
    ] = None,
    timezone: options.Timezone = None,
    metrics_host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Where /metrics listens.", rich_help_panel=options.PANEL),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", help="Its port; 0 takes a free one.", rich_help_panel=options.PANEL
        ),
    ] = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Run the stream processor: events in, metrics out, exactly once.

    Runs in the foreground until Ctrl-C or SIGTERM. The topics have to be there: see `topics`.
    """
    overrides = options.given(
        set_,
        broker=broker,
        redis=redis,
        topic_prefix=topic_prefix,
        app_id=app_id,
        timezone=timezone,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
    )
    options.load(settings, overrides)  # a wrong setting is told here, in one line
    options.export(overrides)
    become_worker()


def become_worker() -> None:
    """Replace this process by a worker: same process id, so that signals reach it.

    By its name, because the library does not know the topology that is built on it.
    """
    sys.stdout.flush()
    os.execv(sys.executable, worker_command())  # noqa: S606 - no shell is wanted


def worker_command() -> list[str]:
    """The command line of a worker; its settings are in the environment."""
    return [sys.executable, "-m", MODULE]

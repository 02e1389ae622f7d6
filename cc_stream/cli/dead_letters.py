"""`cc-stream dead-letters`: what was not counted, why, and sent again once it is mended."""

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.cli import options
from cc_stream.errors import ConfigError

if TYPE_CHECKING:
    from cc_stream.config import Settings
    from cc_stream.replay import Letters, OpenLetter

NAME: Final = "dead-letters"
EXAMPLES: Final = options.examples(
    ("cc-stream dead-letters list", "what is open, by reason"),
    ("cc-stream dead-letters show cc.calls.v1/3/42", "one of them, whole"),
    ("cc-stream dead-letters replay --reason wrong_topic --dry-run", "what would be sent"),
    ("cc-stream dead-letters replay cc.calls.v1/3/42", "send it again, to be counted"),
)
FORMATS: Final = ("table", "json")
NOT_ALL: Final = 1
"""Exit code of a replay that left out a letter."""

app = typer.Typer(
    name=NAME,
    help="List, show and replay records that were not counted.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)

Reason = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="RULE", help="Only this one; may be given several times."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what was refused since then: -3h, 08:00, 2026-03-02."),
]


@app.command("list", epilog=EXAMPLES)
def list_(
    reason: Reason = None,
    since: Since = None,
    output: Annotated[
        str, typer.Option("--format", metavar="F", help="table or json; json has all of them.")
    ] = "table",
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Count the open letters by reason, and list them: oldest first, in a table the newest."""
    from cc_stream.cli.letters_shown import write_json, write_table

    if output not in FORMATS:
        raise ConfigError(f"--format {output}: expected one of {', '.join(FORMATS)}")
    loaded = options.load(settings, options.given(set_, broker=broker, topic_prefix=topic_prefix))
    since_ms = _checked(loaded, reason, since)
    found = _read(loaded)
    letters = _matching(found.letters, reason, since_ms)
    if output == "json":
        write_json(letters, sys.stdout)
    else:
        write_table(letters, found.closed, loaded.timezone, sys.stdout)


@app.command(epilog=EXAMPLES)
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `list` shows it.")],
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Show one open letter: why, where it lay, and its record."""
    from cc_stream.cli.letters_shown import write_letter
    from cc_stream.installation import topics_of
    from cc_stream.replay import record_of

    loaded = options.load(settings, options.given(set_, broker=broker, topic_prefix=topic_prefix))
    (letter,) = _named(_read(loaded), [key])
    topics, security = topics_of(loaded), loaded.kafka_security()
    record = asyncio.run(record_of(loaded.broker, topics, letter, security))
    write_letter(letter, record, loaded.timezone, sys.stdout)


@app.command(epilog=EXAMPLES)
def replay(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY...", help="As `list` shows them.")
    ] = None,
    reason: Reason = None,
    since: Since = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")
    ] = False,
    broker: options.Broker = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Send records again, each to its own topic and partition.

    Which ones say either KEY... or --reason and --since. What is counted now leaves the list; what
    is refused again stays in it under its key. Exit code 1 when a letter was left out.
    """
    if bool(keys) == bool(reason or since):
        raise ConfigError("dead-letters replay: give either KEY... or --reason or --since")
    loaded = options.load(settings, options.given(set_, broker=broker, topic_prefix=topic_prefix))
    since_ms = _checked(loaded, reason, since)
    found = _read(loaded)
    chosen = _named(found, keys) if keys else _matching(found.letters, reason, since_ms)
    if not _replayed(loaded, chosen, dry_run=dry_run):
        raise typer.Exit(NOT_ALL)


def _replayed(settings: "Settings", chosen: "list[OpenLetter]", *, dry_run: bool) -> bool:
    """Send those that can be, tell all; whether none was left out."""
    from cc_stream.cli.letters_shown import plain
    from cc_stream.cli.progress import bar
    from cc_stream.installation import topics_of
    from cc_stream.replay import replay as send
    from cc_stream.replay import why_not

    topics = topics_of(settings)
    reasons = [(letter, why_not(letter, topics)) for letter in chosen]
    going = [letter for letter, why in reasons if why is None]
    for letter, why in reasons:
        if why is not None:
            typer.echo(f"left out {plain(letter.key)} ({plain(letter.rule)}): {why}")
        elif dry_run:
            to = f"{letter.topic}, partition {letter.partition}"
            typer.echo(f"would send {plain(letter.key)} ({letter.rule}, {letter.bytes} B) to {to}")
    left_out = f"{len(chosen) - len(going)} left out"
    if dry_run:
        typer.echo(f"would send {len(going)} of {len(chosen)}, {left_out}")
        return len(going) == len(chosen)
    security = settings.kafka_security()
    with bar("sending") as update:
        sent = asyncio.run(
            send(settings.broker, topics, going, security, lambda n, of: update(n, of, ""))
        )
    gone = f", {len(going) - sent} are gone" if sent < len(going) else ""
    typer.echo(f"sent {sent} of {len(chosen)}, {left_out}{gone}")
    return sent == len(chosen)


def _read(settings: "Settings") -> "Letters":
    from cc_stream.cli.progress import bar
    from cc_stream.installation import topics_of
    from cc_stream.replay import open_letters

    topics, security = topics_of(settings), settings.kafka_security()
    with bar("reading") as update:
        return asyncio.run(
            open_letters(settings.broker, topics, security, lambda n, of: update(n, of, ""))
        )


def _checked(settings: "Settings", reasons: list[str] | None, since: str | None) -> int:
    """The moment of `--since`, 0 without one; names that are no rules are refused before reading.

    Raises:
        ConfigError: no such rule, or no moment.
    """
    from zoneinfo import ZoneInfo

    from cc_stream.cli.moments import moment_ms
    from cc_stream.dead_letters import RULES

    ids = [rule.id for rule in RULES]
    for reason in reasons or ():
        if reason not in ids:
            raise ConfigError(f"--reason {reason}: expected one of {', '.join(ids)}")
    if since is None:
        return 0
    return moment_ms(since, ZoneInfo(settings.timezone), time.time_ns() // 1_000_000)


def _matching(
    letters: "list[OpenLetter]", reasons: list[str] | None, since_ms: int
) -> "list[OpenLetter]":
    return [
        letter
        for letter in letters
        if letter.written_ms >= since_ms and (not reasons or letter.rule in reasons)
    ]


def _named(found: "Letters", keys: list[str]) -> "list[OpenLetter]":
    """The letters of these keys, each once.

    Raises:
        ConfigError: there is no such open letter.
    """
    letters = {letter.key: letter for letter in found.letters}
    for key in keys:
        if key not in letters:
            raise ConfigError(f"{key}: no open letter has this key (see `cc-stream {NAME} list`)")
    return [letters[key] for key in dict.fromkeys(keys)]

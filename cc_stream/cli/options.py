"""Options that several commands share, and how they become settings.

An option that is not given leaves the setting to the environment and the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cc_stream.errors import ConfigError

if TYPE_CHECKING:
    from cc_stream.config import Settings

PANEL: Final = "Settings"

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="A TOML file.", rich_help_panel=PANEL),
]
Broker = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Kafka; several apart by commas.", rich_help_panel=PANEL
    ),
]
Redis = Annotated[
    str | None, typer.Option(metavar="URL", help="redis://HOST:PORT/DB", rich_help_panel=PANEL)
]
TopicPrefix = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="First part of the topics' names.", rich_help_panel=PANEL),
]
Timezone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="The floor's IANA time zone.", rich_help_panel=PANEL),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting; may be given several times.",
        rich_help_panel=PANEL,
    ),
]


def examples(*lines: tuple[str, str]) -> str:
    """The closing part of a command's help: (command line, what it does) each on its own line."""
    rows = [f"[cyan]{command}[/cyan]  [dim]{meaning}[/dim]" for command, meaning in lines]
    return "\n\n".join(["[bold]Examples[/bold]", *rows])


def given(extra: list[str] | None = None, **overrides: object) -> dict[str, object]:
    """Those overrides that were given, with the `--set NAME=VALUE` ones.

    Raises:
        ConfigError: a `--set` is not NAME=VALUE or names no setting.
    """
    named = {name: value for name, value in overrides.items() if value is not None}
    for text in extra or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--set {text}: expected NAME=VALUE")
        named[name.strip()] = _typed(name.strip(), value)
    return named


def _typed(name: str, value: str) -> object:
    """A `--set` value: JSON where the setting is a list or a table, as in the environment."""
    from cc_stream.config import Settings

    if name not in Settings.model_fields:
        raise ConfigError(f"--set {name}: unknown setting")
    if value[:1] not in {"[", "{"}:
        return value
    import json

    try:
        parsed: object = json.loads(value)
    except ValueError:
        raise ConfigError(f"--set {name}: is not JSON") from None
    return parsed


def load(file: Path | None, overrides: Mapping[str, object]) -> "Settings":
    """The settings of a command.

    Raises:
        ConfigError: a wrong name or value, or no such file.
    """
    from cc_stream.config import FILE_VARIABLE, load_settings

    if file is not None:
        os.environ[FILE_VARIABLE] = str(file)
    return load_settings(**overrides)


def export(overrides: Mapping[str, object]) -> None:
    """Put overrides into this process's environment, where a worker that it starts finds them.

    A command line is no place for them: everyone on the machine may read it.
    """
    import json

    from cc_stream.config import PREFIX

    for name, value in overrides.items():
        text = value if isinstance(value, str) else json.dumps(value)
        os.environ[PREFIX + name.upper()] = text

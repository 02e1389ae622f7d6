"""The command line `cc-stream`: one file a command.

A command imports what is heavy inside its function, so that `--help` answers at once. A mistake in
a command line or a setting is one line on standard error and exit code 2; any other error of ours
is one line and 1; Ctrl-C is 130.
"""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

from cc_stream.cli import (
    board,
    dead_letters,
    demo,
    doctor,
    ingest,
    report,
    simulate,
    topics,
    worker,
)
from cc_stream.errors import CcStreamError, ConfigError

WRONG_USE: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130

# What typer raises for a wrong command line; where it comes from differs between its versions.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="cc-stream",
    help="Real-time floor metrics for contact centres, on Kafka.",
    epilog="Start with [bold]cc-stream demo[/bold]. Every setting: docs/settings.md.",
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _module in (demo, worker, ingest, simulate, report, topics, board, doctor):
    app.command(_module.NAME, epilog=_module.EXAMPLES)(_module.command)
app.add_typer(dead_letters.app)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line (without the program's name) and return its exit code."""
    # What aiokafka logs of a broker that is away is told by our own errors.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        code = app(list(arguments) or ["--help"], standalone_mode=False, prog_name="cc-stream")
    except _USAGE_ERROR as error:
        return _told(_text_of(error), WRONG_USE)
    except ConfigError as error:
        return _told(str(error), WRONG_USE)
    except CcStreamError as error:
        return _told(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # `cc-stream … | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def _text_of(error: Exception) -> str:
    """A usage error as one line: its own text, and where help is."""
    text = " ".join(getattr(error, "format_message", error.__str__)().split())
    path = getattr(getattr(error, "ctx", None), "command_path", "cc-stream")
    return f"{text.rstrip('.')} (see `{path} --help`)"


def _told(text: str, code: int) -> int:
    print(f"cc-stream: {text}", file=sys.stderr)  # noqa: T201 - what a command line is for
    return code

"""`cc-stream board`."""

from cc_stream.cli import options

NAME = "board"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

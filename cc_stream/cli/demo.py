"""`cc-stream demo`."""

from cc_stream.cli import options

NAME = "demo"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

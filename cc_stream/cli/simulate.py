"""`cc-stream simulate`."""

from cc_stream.cli import options

NAME = "simulate"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

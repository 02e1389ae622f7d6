"""`cc-stream report`."""

from cc_stream.cli import options

NAME = "report"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

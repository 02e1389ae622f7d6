"""`cc-stream doctor`."""

from cc_stream.cli import options

NAME = "doctor"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

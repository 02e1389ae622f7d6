"""`cc-stream ingest`."""

from cc_stream.cli import options

NAME = "ingest"
EXAMPLES = options.examples()


def command() -> None:
    """Not there yet."""

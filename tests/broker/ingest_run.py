"""A process that follows a queue_log and is killed: BOOTSTRAP PREFIX FILE."""

import asyncio
import sys
from pathlib import Path

from cc_stream.ingest import Feed, Ingested, ingest
from cc_stream.sources import SOURCES
from cc_stream.sources.source import Options
from cc_stream.topics import topics


def tell(done: Ingested) -> None:
    """One line per transaction, which the test waits for."""
    sys.stdout.write(f"{done.lines}\n")
    sys.stdout.flush()


def main() -> None:
    """Follow until killed."""
    bootstrap, prefix, path = sys.argv[1:]
    source = SOURCES[0]
    options = Options(source.default_source)
    feed = Feed(bootstrap, topics(prefix), source, options, Path(path), batch_lines=7)
    # The clock stands still, so that nothing is told but what the lines tell.
    asyncio.run(ingest(feed, follow=True, progress=tell, now_ms=lambda: 0))


if __name__ == "__main__":
    main()

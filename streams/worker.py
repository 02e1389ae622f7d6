"""`python -m streams.worker`: one worker of the consumer group, until it is told to stop.

Settings come from the environment and the settings file (docs/settings.md). SIGTERM and SIGINT
flush, commit, leave the group and end with code 0 within 10 s.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from cc_stream.config import Settings, load_settings
from cc_stream.errors import CcStreamError, ConfigError
from cc_stream.installation import topics_of
from cc_stream.sinks import open_sinks
from cc_stream.telemetry import Telemetry
from cc_stream.topics import check
from streams.app import create_worker
from streams.driver import run
from streams.interpreter import tune_interpreter
from streams.seldom import Seldom

log: Final = logging.getLogger(__name__)

USAGE: Final = 2


def main() -> int:
    """Run until stopped; the exit code."""
    # Until Faust takes the signals over, nothing is owned that would have to be handed on.
    signal.signal(signal.SIGTERM, _stop)
    # Until the worker runs, what goes wrong is said in one line, and by us.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        settings = load_settings()
        asyncio.run(_check_topics(settings))
        return _run(settings)
    except CcStreamError as error:
        sys.stderr.write(f"cc-stream worker: {error}\n")
        return USAGE if isinstance(error, ConfigError) else 1


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


async def _check_topics(settings: Settings) -> None:
    """Refuse to start on topics that would make numbers wrong."""
    findings = await check(settings.broker, topics_of(settings), security=settings.kafka_security())
    if findings:
        told = "; ".join(str(finding) for finding in findings[:3])
        message = f"{told}. `cc-stream topics --create` makes what is missing"
        raise CcStreamError(message)


def _run(settings: Settings) -> int:
    tune_interpreter()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, force=True)
    logging.getLogger("aiokafka").addFilter(Seldom())
    telemetry = Telemetry()
    served = telemetry.serve(settings.metrics_host, settings.metrics_port)
    log.info("metrics at %s", served.url)
    return run(create_worker(settings, open_sinks(settings, telemetry), telemetry).app)


if __name__ == "__main__":
    code = main()
    with suppress(OSError):  # what cannot be printed changes no exit code
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)

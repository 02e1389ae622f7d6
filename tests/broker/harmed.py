"""A worker in which something goes wrong: `python -m tests.broker.harmed HARM`."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn
from unittest.mock import patch

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams import worker
from streams.floor import Calls
from streams.owner import Owner
from streams.publish import Publisher

A_RECORD_SECONDS = 0.000_1
_feed = Owner.feed
_fetch = AIOKafkaConsumerThread._fetch_records  # noqa: SLF001 - a hook


async def _slowly(self: Any, tp: Any, records: Any) -> None:
    """Counts a tenth of what it could; the loop and the consumer's thread are free meanwhile."""
    await asyncio.sleep(len(records) * A_RECORD_SECONDS)
    await _feed(self, tp, records)


def _stage(_self: Any, _records: Any) -> None:
    """Blocks the event loop for ever."""
    threading.Event().wait()


async def _consumer(self: Any, *args: Any, **options: Any) -> Any:
    """Delivers nothing of the calls topic, and says nothing."""
    found = await _fetch(self, *args, **options)
    return {tp: records for tp, records in found.items() if ".calls." not in tp.topic}


async def _fetcher(_self: Any, *_args: Any, **_options: Any) -> NoReturn:
    """The consumer fails."""
    await asyncio.sleep(0)
    raise RuntimeError("the consumer fails")


async def _ended(_self: Any) -> None:
    """A task that runs for ever comes to its end."""


async def _failed(_self: Any) -> NoReturn:
    """A task that runs for ever fails."""
    raise RuntimeError("a task fails")


HARMS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "stage-blocks": (Calls, "apply", _stage),
    "consumer-silent": (AIOKafkaConsumerThread, "_fetch_records", _consumer),
    "consumer-fails": (AIOKafkaConsumerThread, "_fetch_records", _fetcher),
    "task-ends": (Publisher, "publish_loop", _ended),
    "task-fails": (Publisher, "publish_loop", _failed),
}
"""A worker ends of each."""

SLOW: dict[str, tuple[type, str, Callable[..., Any]]] = {"slow": (Owner, "feed", _slowly)}


if __name__ == "__main__":
    where, name, harm = {**HARMS, **SLOW}[sys.argv[1]]
    with patch.object(where, name, harm):
        sys.exit(worker.main())

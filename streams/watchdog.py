"""Ends a worker that stands still: it says where, and its supervisor starts it again.

A thread of its own, for the event loop itself may hang, and so may the consumer's thread.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from streams.cluster import Cluster
from streams.owner import Owner

log: Final = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
END_SECONDS: Final = 9.0
"""A worker that is told to end, or crashes, takes no longer: not even where Kafka is away."""


class Watchdog:
    """Watches the event loop in which it was made, the shards of an owner, and the cluster."""

    def __init__(
        self, owner: Owner, cluster: Cluster, stall_seconds: float, bark: Callable[[], None]
    ) -> None:
        """`bark` is told, from the watchdog's thread, before the process ends."""
        self.owner = owner
        self.cluster = cluster
        self.stall_seconds = stall_seconds
        self.bark = bark
        self.loop = asyncio.get_running_loop()
        self.turned_at = time.monotonic()
        self._closing_since: float | None = None

    async def watch(self) -> None:
        """Show that the loop turns, for as long as the owner is open."""
        threading.Thread(target=self._guard, name="watchdog", daemon=True).start()
        while True:
            self.turned_at = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)

    def _guard(self) -> None:
        while (why := self._stalled()) is None:
            time.sleep(LOOK_SECONDS)
        log.critical("the worker ends, for %s; all stacks follow", why)
        self.bark()
        sys.stderr.write(_task_stacks(self.loop))
        sys.stderr.flush()
        faulthandler.dump_traceback(all_threads=True)
        os._exit(1)

    def _stalled(self) -> str | None:
        """What has stood still for too long."""
        now = time.monotonic()
        if self.owner.closing:
            self._closing_since = self._closing_since or now
            closing = now - self._closing_since
            return f"it has not ended in {closing:.0f} s" if closing > END_SECONDS else None
        if now - self.turned_at > self.stall_seconds:
            return f"its event loop has not turned for {now - self.turned_at:.0f} s"
        if (silent := self.cluster.silent_seconds()) > self.stall_seconds:
            return f"the broker has not answered for {silent:.0f} s"
        for shard in list(self.owner.shards.values()):
            stalled = shard.stalled_seconds()
            if stalled > self.stall_seconds:
                return f"shard {shard.name} has not moved for {stalled:.0f} s with records to read"
        return None


def _task_stacks(loop: asyncio.AbstractEventLoop) -> str:
    """Where each task of a loop waits, from its beginning to what it awaits: a line each."""
    return "".join(f"{task.get_name()}: {_waits(task)}\n" for task in asyncio.all_tasks(loop))


def _waits(task: asyncio.Task[Any]) -> str:
    places = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        awaited = awaited.cr_await
    return " > ".join(places)

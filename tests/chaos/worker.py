"""`python -m tests.chaos.worker`: a worker that ends itself on order, and that has two bugs.

The order `SIGNAL POINT N` on standard input: at that point of the Nth transaction from now on this
process sends itself the signal. The bugs: `DEFECT` in a contact's id raises once the contact was
admitted, `UNDECODABLE` in a value kills the decoder of its whole chunk. With the argument
`disk-full` no file can be written to.
"""

import asyncio
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from unittest.mock import patch

from msgspec import Struct

from cc_stream.contracts import decode_chunk
from streams import worker
from streams.floor import Calls
from streams.producer import TaskFreeProducer

POINTS: Final = ("after_send", "after_acks", "in_commit", "after_commit")
COMMIT_UNDER_WAY_SECONDS: Final = 0.002
DEFECT: Final = "chaos-defect"
UNDECODABLE: Final = b"chaos-undecodable"


class Order(Struct):
    """What to do at which point of which transaction; done once."""

    number: int = 0
    point: str = ""
    left: int = 0

    def take(self, line: str) -> None:
        """Take the order of a line."""
        name, point, left = line.split()
        self.number, self.point, self.left = signal.Signals[name], point, int(left)

    def begins(self) -> str:
        """A transaction begins: the point at which its process ends, or nothing."""
        self.left -= 1
        return self.point if self.left == 0 else ""

    def carry_out(self) -> None:
        """Send the signal."""
        os.kill(os.getpid(), self.number)


def _producer_under(order: Order) -> type[Any]:
    class Producer(TaskFreeProducer):
        """A producer that carries out the order."""

        point = ""

        async def begin_transaction(self) -> None:
            self.point = order.begins()
            await super().begin_transaction()

        async def send_batch(self, *args: Any, **options: Any) -> Any:
            sent = await super().send_batch(*args, **options)
            if self._is_at("after_send"):
                await self.flush()
                await sent
                order.carry_out()
            return sent

        async def commit_transaction(self) -> None:
            if self._is_at("after_acks"):
                order.carry_out()
            commit = asyncio.ensure_future(super().commit_transaction())
            if self._is_at("in_commit"):
                await asyncio.wait({commit}, timeout=COMMIT_UNDER_WAY_SECONDS)
                order.carry_out()
            await commit
            if self._is_at("after_commit"):
                order.carry_out()

        def _is_at(self, point: str) -> bool:
            is_there = self.point == point
            if is_there:
                self.point = ""
            return is_there

    return Producer


def _buggy_decoder(records: Sequence[Any]) -> Any:
    if any(UNDECODABLE in (record.value or b"") for record in records):
        raise RuntimeError("this chunk kills the decoder")
    return decode_chunk(records)


class _BuggyCalls(Calls):
    """Fails after it has changed its state: the worst moment."""

    def _admit(self, event: Any, record: Any) -> Any:
        verdict = super()._admit(event, record)
        if DEFECT.encode() in (record.key or b""):
            raise RuntimeError("this record meets a bug")
        return verdict


def main() -> int:
    """Run the worker; the exit code."""
    if "disk-full" in sys.argv:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    order = Order()

    def listen() -> None:
        # Without a buffer, whose lock this thread would hold when the process ends.
        for line in os.fdopen(0, "rb", buffering=0):
            order.take(line.decode())

    threading.Thread(target=listen, daemon=True).start()
    with (
        patch("streams.broker.TaskFreeProducer", _producer_under(order)),
        patch("streams.floor.intake.decode_chunk", _buggy_decoder),
        patch("streams.app.Calls", _BuggyCalls),
    ):
        return worker.main()


if __name__ == "__main__":
    code = main()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)

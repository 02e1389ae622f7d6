"""A TCP proxy whose network can be harmed: `python -m tests.chaos.proxy LISTEN TARGET`.

It runs as a process of its own, so that nothing that its parent computes slows it down, and takes
one order a line from standard input: `hold`, `refuse`, `slow SECONDS`, `restore`. It ends with its
input.
"""

import asyncio
import sys
import threading

from cc_stream.local.ports import LOOPBACK

READ_BYTES = 1 << 16
UNDER_WAY = 64
"""Reads that are under way in one direction; beyond that the sender has to wait."""


class Proxy:
    """Forwards connections to a port of loopback for as long as it may."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.delay_seconds = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, port: int) -> asyncio.Server:
        """Listen; the caller closes the server."""
        return await asyncio.start_server(self._accept, LOOPBACK, port)

    @property
    def connections(self) -> int:
        """How many pass it now."""
        return len(self._writers) // 2

    def take(self, line: str) -> None:
        """Carry out an order."""
        match line.split():
            case ["hold"]:
                self.hold()
            case ["refuse"]:
                self.refuse()
            case ["slow", seconds]:
                self.slow(float(seconds))
            case ["restore"]:
                self.restore()
            case _:
                raise ValueError(f"no order of a proxy: {line!r}")

    def hold(self) -> None:
        """Nothing passes, as on a cut cable: what is sent arrives once the network is back."""
        self._passing.clear()

    def refuse(self) -> None:
        """Every connection is reset, and so is every new one."""
        self._refusing = True
        for writer in list(self._writers):
            writer.transport.abort()

    def slow(self, seconds: float) -> None:
        """Every byte takes so long, in each direction."""
        self.delay_seconds = seconds

    def restore(self) -> None:
        """The network is as it was."""
        self._refusing = False
        self.delay_seconds = 0.0
        self._passing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for each in both:
            each.transport.abort()
        await asyncio.gather(*(each.wait_closed() for each in both), return_exceptions=True)
        self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its sender ends it."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        deliver = asyncio.create_task(self._deliver(under_way, writer))
        try:
            data = b"begin"
            while data:
                data = await reader.read(READ_BYTES)
                due = asyncio.get_running_loop().time() + self.delay_seconds
                await under_way.put((due, data))
            await deliver
        finally:
            deliver.cancel()

    async def _deliver(
        self, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        """What was read, at its time; empty data are the end."""
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self._passing.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()


async def _serve(port: int, target_port: int) -> None:
    """Run until standard input ends."""
    proxy = Proxy(target_port)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(proxy.take, line)
        loop.call_soon_threadsafe(ended.set)

    server = await proxy.serve(port)
    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

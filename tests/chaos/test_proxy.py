"""The proxy on loopback: it passes, holds, refuses, slows down, and is restored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from cc_stream.local.ports import LOOPBACK, free_port
from tests.chaos.proxy import Proxy
from tests.waiting import until

DEADLINE_SECONDS = 10.0
DELAY_SECONDS = 0.2
SHORT_SECONDS = 0.3
"""So long nothing may pass a network that is held."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    await end(writer)


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, Callable[[], Awaitable[Streams]]]]:
    """A proxy before an echo, and how to connect to it."""
    target = await asyncio.start_server(echo, LOOPBACK, 0)
    proxy, port = Proxy(target.sockets[0].getsockname()[1]), free_port()
    opened: list[Streams] = []

    async def connect() -> Streams:
        opened.append(await asyncio.open_connection(LOOPBACK, port))
        return opened[-1]

    async with target, await proxy.serve(port):
        yield proxy, connect
        for _, writer in opened:
            await end(writer)
        await until(lambda: not proxy.connections, "every connection ends", DEADLINE_SECONDS)


async def answer(streams: Streams, data: bytes) -> bytes:
    reader, writer = streams
    writer.write(data)
    return await reader.readexactly(len(data))


async def is_reset(streams: Streams) -> bool:
    """Whether the connection ends without an answer."""
    reader, writer = streams
    try:
        writer.write(b"x")
        return await reader.read(1) == b""
    except ConnectionError:
        return True


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), DEADLINE_SECONDS))


def test_everything_passes_in_its_order() -> None:
    async def scenario() -> None:
        async with proxied() as (_, connect):
            many = bytes(range(256)) * 10_000
            assert await answer(await connect(), many) == many

    run(scenario)


def test_what_is_held_arrives_when_the_network_is_back() -> None:
    async def scenario() -> None:
        async with proxied() as (proxy, connect):
            streams = await connect()
            assert await answer(streams, b"before") == b"before"
            proxy.take("hold")
            asked = asyncio.ensure_future(answer(streams, b"held"))
            assert await asyncio.wait({asked}, timeout=SHORT_SECONDS) == (set(), {asked})
            proxy.take("restore")
            assert await asked == b"held"

    run(scenario)


def test_refused_connections_are_reset_until_the_network_is_back() -> None:
    async def scenario() -> None:
        async with proxied() as (proxy, connect):
            streams = await connect()
            assert await answer(streams, b"before") == b"before"
            proxy.take("refuse")
            assert await is_reset(streams)
            assert await is_reset(await connect())
            proxy.take("restore")
            assert await answer(await connect(), b"after") == b"after"

    run(scenario)


def test_a_slow_network_delays_both_directions_and_keeps_the_order() -> None:
    async def scenario() -> None:
        async with proxied() as (proxy, connect):
            streams = await connect()
            proxy.take(f"slow {DELAY_SECONDS}")
            clock = asyncio.get_running_loop().time
            started = clock()
            assert await answer(streams, b"one, two") == b"one, two"
            assert clock() - started >= 2 * DELAY_SECONDS

    run(scenario)


def test_a_target_that_does_not_listen_is_a_reset() -> None:
    async def scenario() -> None:
        port = free_port()
        async with await Proxy(free_port()).serve(port):
            streams = await asyncio.open_connection(LOOPBACK, port)
            assert await is_reset(streams)
            await end(streams[1])

    run(scenario)


def test_an_unknown_order_is_an_error() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="no order of a proxy: 'explode'"):
            Proxy(1).take("explode")

    run(scenario)

"""What every sink of SINKS obeys, on real servers: a new one is tested by being in the tuple."""

import asyncio
from collections.abc import Callable

import pytest

from cc_stream.config import Settings, load_settings
from cc_stream.local.redis import RedisServer
from cc_stream.sinks import SINKS, open_reader, open_sinks
from cc_stream.sinks.sink import Sink
from cc_stream.telemetry import Telemetry
from tests.contracts.test_view_store import TENANT, alert, board, standing, update, view


@pytest.fixture
def settings(redis_server: RedisServer, unique_name: str) -> Settings:
    return load_settings(redis=redis_server.url, topic_prefix=unique_name)


@pytest.mark.parametrize("make", SINKS)
def test_a_sink_takes_everything_again_and_asks_for_the_whole_of_a_new_shard(
    make: Callable[[Settings, Telemetry], Sink], settings: Settings
) -> None:
    everything = update(
        view(), leaderboards=[board(standing("a", 1.0))], alerts=[alert()], whole=True
    )

    async def run() -> None:
        sink = make(settings, Telemetry())
        assert await sink.publish(update(view(), shard=4))
        assert not await sink.publish(everything)
        assert not await sink.publish(everything)
        assert not await sink.publish(update(offset=2))
        sink.forget(0)
        sink.forget(0)
        assert await sink.publish(update(view(3), offset=3))
        await sink.close()

    asyncio.run(run())


def test_all_sinks_are_opened_before_any_is_connected() -> None:
    nowhere = load_settings(redis="redis://127.0.0.1:1/0")
    sinks = open_sinks(nowhere, Telemetry())
    assert len(sinks) == len(SINKS)

    async def close() -> None:
        for sink in sinks:
            await sink.close()

    asyncio.run(close())


def test_the_reader_of_the_settings_reads_what_their_sinks_wrote(settings: Settings) -> None:
    async def run() -> None:
        sinks, reader = open_sinks(settings, Telemetry()), open_reader(settings)
        for sink in sinks:
            await sink.publish(update(view(), whole=True))
        assert await reader.views(TENANT) == [view()]
        for sink in sinks:
            await sink.close()
        await reader.close()

    asyncio.run(run())

"""The Redis sink on a real server: what lies there, and what happens when it goes away."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace
from redis import Redis

from cc_stream.local.redis import RedisServer
from cc_stream.metrics import READINGS
from cc_stream.panes import WINDOWS
from cc_stream.sinks.redis import ANSWER_SECONDS, CHUNK, VIEWS, RedisSink, connect
from cc_stream.sinks.redis_reader import HEAD_FIELDS, RedisReader
from cc_stream.sinks.sink import SinkUnavailable, Update
from cc_stream.telemetry import Telemetry
from cc_stream.view import Entity
from tests.contracts.test_view_store import NOW, TENANT, alert, board, standing, update, view

Client: TypeAlias = Any  # redis-py types every answer as both a value and an awaitable

QUEUE_KEY = ":acme%3A%20north%2F1%25:queue:sales%3A%20A%2FB:5m"


async def publish(server: RedisServer, prefix: str, *updates: Update) -> list[bool]:
    sink = RedisSink(connect(server.url), prefix)
    try:
        return [await sink.publish(one) for one in updates]
    finally:
        await sink.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    with Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


def test_a_view_is_a_hash_that_anyone_can_read(
    redis_server: RedisServer, client: Client, unique_name: str
) -> None:
    asyncio.run(publish(redis_server, unique_name, update(view(part=None, vector={"offered": 3}))))
    fields = client.hgetall(unique_name + QUEUE_KEY)
    assert fields == {
        "tenant": TENANT,
        "kind": "queue",
        "id": "sales: A/B",
        "window": "5m",
        "window_start": "2027-01-15T07:55:00.000Z",
        "window_start_ms": str(NOW - 300_000),
        "window_end": "2027-01-15T08:00:00.000Z",
        "window_end_ms": str(NOW),
        "as_of": "2027-01-15T08:00:00.000Z",
        "as_of_ms": str(NOW),
        "data_as_of": "2027-01-15T07:59:58.766Z",
        "data_as_of_ms": str(NOW - 1234),
        "order": view().order,
        "offered": "3",
        "service_level": "0.30000000000000004",
        "queue_wait_mean_seconds": "null",
        "rejected": '{"full":1}',
        "service_level_formula": '"abandons_negative"',
        "hold_known": "true",
        "vector": '{"offered":3}',
        "live_vector": "null",
        "vector_as_of_ms": str(NOW),
    }
    later = view(2, metrics={"offered": 4}, as_of_ms=NOW + 50)
    asyncio.run(publish(redis_server, unique_name, update(later, offset=2)))
    fields = client.hgetall(unique_name + QUEUE_KEY)
    assert "service_level" not in fields
    assert (fields["vector"], fields["vector_as_of_ms"]) == ('{"offered":3}', str(NOW))


def test_keys_of_every_kind_and_all_of_them_expire(
    redis_server: RedisServer, client: Client, unique_name: str
) -> None:
    views = [
        view(),
        view(entity=Entity("acme", "agent", "a:7", "north team"), window="today"),
        view(entity=Entity("acme", "team", "north team"), window="live"),
        view(entity=Entity("acme", "floor", "floor"), part=3),
    ]
    boards = [
        replace(board(standing("a@b", 3.5), standing("c", 0, ranked=False)), tenant="acme"),
        replace(board(standing("d", 2.0), part=3, scope_id="floor"), tenant="acme"),
    ]
    alerts = [replace(alert("sales: A"), tenant="acme")]
    one = replace(update(*views), leaderboards=boards, alerts=alerts, shard=3)
    asyncio.run(publish(redis_server, unique_name, one))
    keys = {key.removeprefix(unique_name) for key in client.scan_iter(f"{unique_name}:*")}
    assert keys == {
        QUEUE_KEY,
        ":acme:agent:north%20team:a%3A7:today",
        ":acme:team:north%20team:live",
        ":acme:floor:3:5m",
        ":acme:leaderboard:team:t:handled:60m",
        ":acme:leaderboard:team:t:handled:60m:rows",
        ":acme:leaderboard:team:t:handled:60m:part:all",
        ":acme:leaderboard:floor:floor:handled:60m",
        ":acme:leaderboard:floor:floor:handled:60m:rows",
        ":acme:leaderboard:floor:floor:handled:60m:part:3",
        ":acme:alerts",
        ":acme:alerts:part:3",
        ":acme:index:agent",
        ":acme:index:team",
        ":acme:index:floor",
        ":acme:index:leaderboard",
        ":acme%3A%20north%2F1%25:index:queue",
        ":shard:3",
        ":index:shard",
        ":index:tenant",
        ":marker",
    }
    for key in keys - {":marker"}:
        assert 0 < client.pttl(unique_name + key) <= 2 * 86_400_000, key
    team = f"{unique_name}:acme:leaderboard:team:t:handled:60m"
    assert client.zrange(team, 0, -1, withscores=True) == [("a%40b@t", 3.5)]
    assert json.loads(client.hget(f"{team}:rows", "c@t"))["reason"] == "not ranked yet"
    active = client.hgetall(f"{unique_name}:acme:alerts")
    assert list(active) == ["sales%3A%20A:waiting_now"]
    assert json.loads(active["sales%3A%20A:waiting_now"])["status"] == "active"


def test_no_figure_is_called_like_a_field_that_is_none() -> None:
    assert not {reading.name for reading in READINGS} & HEAD_FIELDS


def test_more_views_than_a_chunk(redis_server: RedisServer, unique_name: str) -> None:
    many = [
        view(entity=Entity("acme", "agent", f"a{n:04d}", "t"), window=window)
        for n in range(CHUNK * VIEWS // 2 + 1)
        for window in WINDOWS[:3]
    ]

    async def read() -> None:
        reader = RedisReader(connect(redis_server.url), unique_name)
        assert len(await reader.views("acme")) == len(many)
        await reader.close()

    asyncio.run(publish(redis_server, unique_name, update(*many)))
    asyncio.run(read())


def test_late_writes_are_counted(redis_server: RedisServer, unique_name: str) -> None:
    async def run(telemetry: Telemetry) -> None:
        sink = RedisSink(connect(redis_server.url), unique_name, telemetry=telemetry)
        await sink.publish(update(view(9), offset=9))
        await sink.publish(update(view(8), view(8, window="15m"), offset=8))
        await sink.close()

    telemetry = Telemetry()
    asyncio.run(run(telemetry))
    # The view, and the shard's status.
    found = telemetry.registry.get_sample_value("cc_sink_late_writes_total", {"sink": "redis"})
    assert found == 2


def test_a_key_of_another_kind_is_told_and_nothing_is_lost(
    redis_server: RedisServer, client: Client, unique_name: str
) -> None:
    client.set(unique_name + QUEUE_KEY, "not ours")
    with pytest.raises(SinkUnavailable, match="WRONGTYPE"):
        asyncio.run(publish(redis_server, unique_name, update(view())))


def test_shards_that_publish_at_once_share_a_round_trip(
    redis_server: RedisServer, client: Client, unique_name: str
) -> None:
    async def run() -> list[bool | BaseException]:
        sink = RedisSink(connect(redis_server.url), unique_name)
        await sink.publish(update(view(), shard=9))  # the scripts are known
        client.config_resetstat()
        each = (sink.publish(update(view(2), shard=shard, offset=2)) for shard in range(3))
        answers = await asyncio.gather(*each)
        await sink.close()
        return list(answers)

    assert asyncio.run(run()) == [True, True, True]  # none has told everything yet
    calls = client.info("commandstats")
    assert (calls["cmdstat_get"]["calls"], calls["cmdstat_evalsha"]["calls"]) == (1, 6)


def test_what_is_wrong_with_one_update_is_not_told_of_another(
    redis_server: RedisServer, client: Client, unique_name: str
) -> None:
    async def run() -> list[bool | BaseException]:
        sink = RedisSink(connect(redis_server.url), unique_name)
        good, bad = view(entity=Entity("acme", "team", "t")), view()
        each = (sink.publish(update(one, whole=True)) for one in (good, bad, good))
        answers = await asyncio.gather(*each, return_exceptions=True)
        await sink.close()
        return list(answers)

    client.set(unique_name + QUEUE_KEY, "not ours")
    first, second, third = asyncio.run(run())
    assert not first
    assert isinstance(second, SinkUnavailable)
    assert not third


def test_one_who_gives_up_takes_nobody_along(redis_server: RedisServer, unique_name: str) -> None:
    async def run() -> None:
        sink = RedisSink(connect(redis_server.url), unique_name)
        first, second = (
            asyncio.create_task(sink.publish(update(view(), shard=shard, whole=True)))
            for shard in range(2)
        )
        await asyncio.sleep(0)
        first.cancel()
        assert not await second
        assert first.cancelled()
        await sink.close()

    asyncio.run(run())


def test_an_outage_is_told_and_the_store_asks_for_everything_afterwards(
    own_redis: RedisServer,
) -> None:
    async def run() -> None:
        telemetry = Telemetry()
        sink = RedisSink(connect(own_redis.url), telemetry=telemetry)
        reader = RedisReader(connect(own_redis.url))
        assert not await sink.publish(update(view(), whole=True))
        own_redis.kill()
        for _ in range(2):
            with pytest.raises(SinkUnavailable, match=r"^Redis: "):
                await sink.publish(update(view(2), offset=2))
        with pytest.raises(SinkUnavailable, match=r"^Redis: "):
            await reader.views(TENANT)
        up = {"sink": "redis"}
        assert telemetry.registry.get_sample_value("cc_sink_up", up) == 0
        own_redis.start()
        # The scripts are gone with everything else.
        assert await sink.publish(update(view(3), offset=3))
        assert not await sink.publish(update(view(4), offset=4, whole=True))
        assert await reader.views(TENANT) == [view(4)]
        assert telemetry.registry.get_sample_value("cc_sink_up", up) == 1
        await sink.close()
        await reader.close()

    asyncio.run(run())


def test_a_store_that_was_emptied_asks_every_shard_for_everything(own_redis: RedisServer) -> None:
    async def run() -> None:
        sink = RedisSink(connect(own_redis.url))
        for shard in (0, 1):
            assert not await sink.publish(update(view(), shard=shard, whole=True))
        with Redis.from_url(own_redis.url) as client:
            client.flushall()
        for shard in (0, 1):
            assert await sink.publish(update(view(2), shard=shard, offset=2))
            assert await sink.publish(update(view(3), shard=shard, offset=3))
            assert not await sink.publish(update(view(4), shard=shard, offset=4, whole=True))
            assert not await sink.publish(update(view(5), shard=shard, offset=5))
        await sink.close()

    asyncio.run(run())


def test_a_redis_that_hangs_does_not_hold_the_caller(own_redis: RedisServer) -> None:
    async def run() -> None:
        sink = RedisSink(connect(own_redis.url))
        await sink.publish(update(view()))
        own_redis.pause()
        started = time.monotonic()
        try:
            async with asyncio.timeout(8):
                first, late = (asyncio.create_task(sink.publish(update(view()))) for _ in range(2))
                await asyncio.sleep(0.5)
                last = asyncio.create_task(sink.publish(update(view())))
                for one in (first, late, last):
                    with pytest.raises(SinkUnavailable, match=r"^Redis: "):
                        await one
                assert time.monotonic() - started < 2 * ANSWER_SECONDS
        finally:
            own_redis.resume()
        assert await sink.publish(update(view()))
        await sink.close()

    asyncio.run(run())

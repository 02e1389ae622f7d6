"""Reads from Redis what `RedisSink` wrote. Needs no KEYS and no SCAN: the indexes name everything.

A view is one hash, so it is read as it was written; several views may be of different ticks.
"""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, cast

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from cc_stream.alerts.engine import Alert
from cc_stream.leaderboard import Leaderboard
from cc_stream.outputs import alert_of, board_of
from cc_stream.sinks.reader import Notices, view_order, whole_boards
from cc_stream.sinks.redis_keys import BOARD_INDEX, SHARD_INDEX, TENANT_INDEX, Keys
from cc_stream.sinks.sink import ShardStatus, SinkUnavailable
from cc_stream.view import KINDS, Entity, View

CHUNK: Final = 500

HEAD_FIELDS: Final = frozenset(
    {"tenant", "kind", "id", "team", "part", "window", "order"}
    | {"vector", "live_vector", "vector_as_of_ms"}
    | {
        f"{moment}{suffix}"
        for moment in ("as_of", "data_as_of", "window_start", "window_end")
        for suffix in ("", "_ms")
    }
)
"""Fields of a view's hash that are no figures. No figure may have such a name."""


class RedisReader:
    """A `Reader` over Redis."""

    def __init__(self, client: Redis, prefix: str = "cc") -> None:
        """`client` (see `redis.connect`) belongs to the reader from here on."""
        self._client = client
        self._keys = Keys(prefix)

    async def tenants(self) -> list[str]:
        """See `Reader.tenants`."""
        return sorted(await self._members(self._keys.global_index(TENANT_INDEX)))

    async def views(self, tenant: str, kinds: Sequence[str] = KINDS) -> list[View]:
        """See `Reader.views`."""
        keys: list[str] = []
        for kind in kinds:
            keys += await self._members(self._keys.index(tenant, kind))
        found = [_view(fields) for _, fields in await self._hashes(keys)]
        return sorted(found, key=view_order)

    async def leaderboards(self, tenant: str) -> list[Leaderboard]:
        """See `Reader.leaderboards`."""
        part_keys = await self._members(self._keys.index(tenant, BOARD_INDEX))
        parts = await self._hashes(part_keys)
        boards: list[Leaderboard] = []
        for start in range(0, len(parts), CHUNK):
            chunk = parts[start : start + CHUNK]
            with _available():
                async with self._client.pipeline(transaction=False) as pipe:
                    for key, fields in chunk:
                        members = orjson.loads(fields["members"])
                        pipe.hmget(f"{key.rpartition(':part:')[0]}:rows", members or [""])
                    answers = await pipe.execute()
            for (_, fields), rows in zip(chunk, answers, strict=True):
                # A row is missing where another writer was between the two reads.
                standings = [orjson.loads(row) for row in rows if row is not None]
                boards.append(board_of(orjson.loads(fields["head"]), standings))
        return whole_boards(boards)

    async def alerts(self, tenant: str) -> list[Alert]:
        """See `Reader.alerts`."""
        with _available():
            answer = await cast(
                "Awaitable[dict[bytes, bytes]]", self._client.hgetall(self._keys.alerts(tenant))
            )
        found = [alert_of(value) for value in answer.values()]
        return sorted(found, key=lambda alert: (alert.queue, alert.rule))

    async def shards(self) -> dict[int, ShardStatus]:
        """See `Reader.shards`."""
        found = await self._hashes(await self._members(self._keys.global_index(SHARD_INDEX)))
        return dict(sorted((int(fields["shard"]), _status(fields)) for _, fields in found))

    @asynccontextmanager
    async def changes(self, tenant: str) -> AsyncIterator[Notices]:
        """See `Reader.changes`."""
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            with _available():
                await pubsub.subscribe(self._keys.changes(tenant))
                await pubsub.get_message(ignore_subscribe_messages=False, timeout=1.0)
            yield _RedisNotices(pubsub)

    async def close(self) -> None:
        """See `Reader.close`."""
        await self._client.aclose()

    async def _members(self, index: str) -> list[str]:
        with _available():
            return [name.decode() for name in await self._client.zrange(index, 0, -1)]

    async def _hashes(self, keys: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """Key and fields of those hashes that are there."""
        found: list[tuple[str, dict[str, str]]] = []
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            with _available():
                async with self._client.pipeline(transaction=False) as pipe:
                    for key in chunk:
                        pipe.hgetall(key)
                    answers = await pipe.execute()
            found += (
                (key, {name.decode(): value.decode() for name, value in answer.items()})
                for key, answer in zip(chunk, answers, strict=True)
                if answer
            )
        return found


class _RedisNotices:
    """Notices of one subscription."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def next(self, timeout_seconds: float) -> list[str] | None:
        """See `Notices.next`."""
        with _available():
            message = await self._pubsub.get_message(timeout=timeout_seconds)
        return None if message is None else cast("list[str]", orjson.loads(message["data"]))


@contextmanager
def _available() -> Iterator[None]:
    """Turn errors of the client into SinkUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise SinkUnavailable(f"Redis: {text}") from error


def _view(fields: Mapping[str, str]) -> View:
    is_of_now = fields.get("vector_as_of_ms") == fields["as_of_ms"]
    return View(
        Entity(fields["tenant"], fields["kind"], fields["id"], fields.get("team")),
        fields["window"],
        _whole(fields, "window_start_ms"),
        _whole(fields, "window_end_ms"),
        int(fields["as_of_ms"]),
        int(fields["data_as_of_ms"]),
        fields["order"],
        {name: _json(value) for name, value in fields.items() if name not in HEAD_FIELDS},
        _json(fields["vector"]) if is_of_now else None,
        _json(fields["live_vector"]) if is_of_now else None,
        _whole(fields, "part"),
    )


def _status(fields: Mapping[str, str]) -> ShardStatus:
    return ShardStatus(
        int(fields["as_of_ms"]),
        int(fields["data_as_of_ms"]),
        fields["order"],
        _json(fields["sources"]),
        _json(fields["lag"]),
        _json(fields["events"]),
        _json(fields["delay_ms"]),
    )


def _whole(fields: Mapping[str, str], name: str) -> int | None:
    return int(fields[name]) if name in fields else None


def _json(text: str) -> Any:
    return orjson.loads(text)

"""The sink for Redis (6.2 or newer, or Valkey): hashes, sorted sets, change notices.

An update is a few round trips: scripts in chunks, then indexes and notices of what was really
written, so that a reader never hears of a key that is not there yet.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from hashlib import sha1
from itertools import islice
from typing import Any, Final, cast

import orjson
from msgspec import Struct
from msgspec.structs import asdict
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from cc_stream.leaderboard import Leaderboard
from cc_stream.outputs import alert_record, board_head, written
from cc_stream.sinks.redis_keys import (
    BOARD_INDEX,
    EVERYTHING,
    SHARD_INDEX,
    TENANT_INDEX,
    Keys,
    alert_field,
    member,
)
from cc_stream.sinks.redis_scripts import PUT_ALERTS, PUT_BOARD, PUT_VIEW, SCRIPTS
from cc_stream.sinks.sink import ShardStatus, SinkUnavailable, Update
from cc_stream.telemetry import Telemetry
from cc_stream.view import View

KEEP_SECONDS: Final = 2 * 86_400
"""How long a key stays after its last write."""
CHUNK: Final = 500
"""Scripts a round trip: a few milliseconds of Redis, so that readers get their turn between."""
CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0

_SHA: Final = {script: sha1(script.encode()).hexdigest() for script in SCRIPTS}  # noqa: S324 - EVALSHA


class _Write(Struct, frozen=True):
    """One call of a script. `name` is what a notice calls it; `index` is where it is listed."""

    script: str
    keys: tuple[str, ...]
    args: tuple[str | bytes | int, ...]
    tenant: str | None = None
    name: str = ""
    index: str | None = None


def connect(url: str) -> Redis:
    """A client that gives up soon and never tries again by itself; nothing is opened yet."""
    return Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class RedisSink:
    """Writes the views of board shards into one Redis."""

    def __init__(
        self,
        client: Redis,
        prefix: str = "cc",
        keep_seconds: float = KEEP_SECONDS,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`client` (see `connect`) belongs to the sink from here on; `prefix` starts every key."""
        self._client = client
        self._telemetry = telemetry or Telemetry()
        self._keys = Keys(prefix)
        self._keep_ms = round(keep_seconds * 1000)
        self._known: dict[int, bytes] = {}

    async def publish(self, update: Update) -> bool:
        """See `Sink.publish`. A part may be written when it fails: the order guards the rest."""
        started = time.monotonic()
        try:
            before, done, late = await self._write(self._writes(update))
            after = await self._announce(update, done)
        except (RedisError, OSError) as error:
            self._known.pop(update.shard, None)
            self._telemetry.sink_failed("redis")
            text = " ".join(str(error).split()) or type(error).__name__
            raise SinkUnavailable(f"Redis: {text}") from error
        self._telemetry.published("redis", time.monotonic() - started, late)
        if update.whole and before == after:
            self._known[update.shard] = after
        return self._known.get(update.shard) != after

    def forget(self, shard: int) -> None:
        """See `Sink.forget`."""
        self._known.pop(shard, None)

    async def close(self) -> None:
        """See `Sink.close`."""
        await self._client.aclose()

    def _writes(self, update: Update) -> Iterator[_Write]:
        keep = self._keep_ms
        for view in update.views:
            key = self._keys.view(view)
            tenant, index = (
                view.entity.tenant,
                self._keys.index(view.entity.tenant, view.entity.kind),
            )
            args = (view.order, keep, orjson.dumps(_view_fields(view)))
            yield _Write(PUT_VIEW, (key,), args, tenant, key, index)
        for board in update.leaderboards:
            yield self._board(board)
        yield from self._alerts(update)
        fields = _status_fields(update.shard, update.status)
        args = (update.status.order, keep, orjson.dumps(fields))
        yield _Write(PUT_VIEW, (self._keys.shard(update.shard),), args)

    def _board(self, board: Leaderboard) -> _Write:
        keys = self._keys.board(board)
        rows: list[str] = []
        for row in board.standings:
            rows += (repr(row.score) if row.ranked else "", orjson.dumps(asdict(row)).decode())
        members = [member(row) for row in board.standings]
        head = orjson.dumps(board_head(board))
        args = (board.order, self._keep_ms, head, orjson.dumps(members), orjson.dumps(rows))
        index = self._keys.index(board.tenant, BOARD_INDEX)
        every = (keys.scores, keys.rows, keys.part)
        return _Write(PUT_BOARD, every, args, board.tenant, keys.scores, index)

    def _alerts(self, update: Update) -> Iterator[_Write]:
        changes: dict[str, list[str]] = {}
        if update.whole:
            changes = {tenant: [] for tenant in _tenants(update)}
        for alert in update.alerts:
            record = alert_record(alert)[1].decode() if alert.is_active else ""
            changes.setdefault(alert.tenant, []).extend(
                (alert_field(alert.queue, alert.rule), record)
            )
        whole = int(update.whole)
        for tenant, fields in changes.items():
            keys = (self._keys.alerts(tenant), self._keys.alerts_part(tenant, update.shard))
            args = (update.status.order, self._keep_ms, whole, orjson.dumps(fields))
            yield _Write(PUT_ALERTS, keys, args, tenant, keys[0])

    async def _write(self, writes: Iterator[_Write]) -> tuple[bytes, list[_Write], int]:
        """The marker that was found, what was written, and how much a higher order kept out."""
        marker, late = b"", 0
        done: list[_Write] = []
        # A chunk is made when it is its turn: a large update does not hold the loop.
        while chunk := list(islice(writes, CHUNK)):
            try:
                answers = await self._run(chunk)
            except NoScriptError:
                for script in SCRIPTS:
                    await self._client.script_load(script)
                answers = await self._run(chunk)
            marker = marker or answers[0]
            done += (write for write, answer in zip(chunk, answers[1:], strict=True) if answer)
            late += answers[1:].count(0)
        return marker, done, late

    async def _run(self, chunk: Sequence[_Write]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            self._look(pipe)
            for write in chunk:
                pipe.evalsha(_SHA[write.script], len(write.keys), *write.keys, *write.args)
            answers = await pipe.execute()
        return answers[1:]

    def _look(self, pipe: Pipeline) -> None:
        """Two commands: leave a marker where none is, and read it."""
        pipe.set(self._keys.marker, uuid.uuid4().hex, nx=True)
        pipe.get(self._keys.marker)

    async def _announce(self, update: Update, done: Sequence[_Write]) -> bytes:
        """List and tell what was written; the marker as it is after all of it."""
        async with self._client.pipeline(transaction=False) as pipe:
            self._list(pipe, self._keys.global_index(SHARD_INDEX), [str(update.shard)], update)
            indexes: dict[str, list[str]] = {}
            changed: dict[str, list[str]] = {}
            for write in done:
                if write.tenant is not None:
                    changed.setdefault(write.tenant, []).append(write.name)
                if write.index is not None:
                    indexes.setdefault(write.index, []).append(write.keys[-1])
            for index, names in indexes.items():
                self._list(pipe, index, names, update)
            if changed:
                self._list(pipe, self._keys.global_index(TENANT_INDEX), list(changed), update)
            for tenant, names in changed.items():
                told = [EVERYTHING] if update.whole else names
                pipe.publish(self._keys.changes(tenant), orjson.dumps(told))
            self._look(pipe)
            answers = await pipe.execute()
        return cast("bytes", answers[-1])

    def _list(self, pipe: Pipeline, index: str, names: Sequence[str], update: Update) -> None:
        """Put names into an index until they expire, and drop those that have expired."""
        until_ms = update.as_of_ms + self._keep_ms
        pipe.zadd(index, dict.fromkeys(names, until_ms), gt=True)
        pipe.zremrangebyscore(index, "-inf", update.as_of_ms)
        pipe.pexpire(index, self._keep_ms)


def _tenants(update: Update) -> set[str]:
    """Whose alerts a whole update speaks of."""
    tenants = {view.entity.tenant for view in update.views}
    tenants |= {board.tenant for board in update.leaderboards}
    return tenants | {alert.tenant for alert in update.alerts}


def _view_fields(view: View) -> list[str]:
    """Field, value, …: what the view is of as plain text, its figures as JSON."""
    entity = view.entity
    fields = ["tenant", entity.tenant, "kind", entity.kind, "id", entity.id]
    fields += ("window", view.window, "order", view.order)
    if entity.team is not None:
        fields += ("team", entity.team)
    if view.part is not None:
        fields += ("part", str(view.part))
    fields += _moment("as_of", view.as_of_ms)
    fields += _moment("data_as_of", view.data_as_of_ms)
    if view.start_ms is not None and view.end_ms is not None:
        fields += _moment("window_start", view.start_ms)
        fields += _moment("window_end", view.end_ms)
    for name, value in view.metrics.items():
        fields += (name, orjson.dumps(value).decode())
    if view.vector is not None or view.live_vector is not None:
        fields += ("vector", orjson.dumps(view.vector).decode())
        fields += ("live_vector", orjson.dumps(view.live_vector).decode())
        fields += ("vector_as_of_ms", str(view.as_of_ms))
    return fields


def _moment(name: str, ms: int) -> tuple[str, str, str, str]:
    return name, written(ms), f"{name}_ms", str(ms)


def _status_fields(shard: int, status: ShardStatus) -> list[str]:
    fields = ["shard", str(shard), "order", status.order]
    fields += _moment("as_of", status.as_of_ms)
    fields += _moment("data_as_of", status.data_as_of_ms)
    fields += ("sources", orjson.dumps(status.sources).decode())
    for name in ("lag", "events", "delay_ms"):
        fields += (name, orjson.dumps(getattr(status, name)).decode())
    return fields

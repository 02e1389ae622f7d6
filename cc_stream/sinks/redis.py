"""The sink for Redis (6.2 or newer, or Valkey): hashes, sorted sets, change notices.

An update is a round trip for each chunk of scripts, nearly always one; see `redis_scripts`. Chunks
of other updates that wait meanwhile share it.
"""

import asyncio
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from hashlib import sha1
from itertools import chain, count, groupby, islice
from operator import attrgetter
from typing import Any, Final, cast

import orjson
from msgspec import Struct
from msgspec.structs import asdict
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.typing import EncodableT

from cc_stream.leaderboard import Leaderboard
from cc_stream.metrics.metric import Value
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
from cc_stream.sinks.redis_scripts import PUT_ALERTS, PUT_BOARDS, PUT_VIEWS, SCRIPTS
from cc_stream.sinks.sink import ShardStatus, SinkUnavailable, Update
from cc_stream.telemetry import Telemetry
from cc_stream.view import View

KEEP_SECONDS: Final = 2 * 86_400
"""How long a key stays after its last write."""
VIEWS: Final = 50
"""Views a script: two milliseconds of Redis, so that readers get their turn between."""
BOARDS: Final = 10
"""Leaderboards a script, as long."""
CHUNK: Final = 10
"""Scripts a round trip."""
CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0

_WITH_COMMAS: Final = (str, dict)

_SHA: Final = {script: sha1(script.encode()).hexdigest() for script in SCRIPTS}  # noqa: S324 - EVALSHA


_Answer = tuple[bytes, list[list[int]]]
"""The marker as it was before, and the answers of the scripts."""


class _Write(Struct, frozen=True):
    """One call of a script, for one thing or several."""

    script: str
    keys: Sequence[str]
    args: Sequence[EncodableT]


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
        self._name, self._numbers = uuid.uuid4().hex, count()
        self._known: dict[int, bytes] = {}
        self._waiting: list[tuple[Sequence[_Write], asyncio.Future[_Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def publish(self, update: Update) -> bool:
        """See `Sink.publish`. A part may be written when it fails: the order guards the rest."""
        started = time.monotonic()
        try:
            before, after, late = await self._write(update)
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
        for tenant, views in groupby(update.views, attrgetter("entity.tenant")):
            while some := list(islice(views, VIEWS)):
                yield self._views(update, tenant, some)
        for tenant, boards in groupby(update.leaderboards, attrgetter("tenant")):
            while several := list(islice(boards, BOARDS)):
                yield self._boards(update, tenant, several)
        yield from self._alerts(update)
        yield self._status(update)

    def _common(self, update: Update, tenant: str | None) -> list[EncodableT]:
        """What every script is given first. Of a whole update one notice is told at its end."""
        channel = "" if tenant is None or update.whole else self._keys.changes(tenant)
        return [self._keep_ms, update.as_of_ms, channel]

    def _views(self, update: Update, tenant: str, views: Sequence[View]) -> _Write:
        indexes: dict[str, int] = {}
        places = [
            indexes.setdefault(view.entity.kind, len(views) + len(indexes) + 1) for view in views
        ]
        keys = [self._keys.view(view) for view in views]
        keys += [self._keys.index(tenant, kind) for kind in indexes]
        keys.append(self._keys.global_index(TENANT_INDEX))
        common = self._common(update, tenant)
        opened: dict[int, str] = {}
        fields = [_view_fields(view, opened) for view in views]
        return _Write(PUT_VIEWS, keys, [*common, tenant, orjson.dumps(places), *fields])

    def _status(self, update: Update) -> _Write:
        keys = self._keys.shard(update.shard), self._keys.global_index(SHARD_INDEX)
        fields = _status_fields(update.shard, update.status)
        return _Write(PUT_VIEWS, keys, [*self._common(update, None), "", "[2]", fields])

    def _boards(self, update: Update, tenant: str, boards: Sequence[Leaderboard]) -> _Write:
        keys = [self._keys.index(tenant, BOARD_INDEX)]
        args = self._common(update, tenant)
        for board in boards:
            rows: list[str] = []
            for row in board.standings:
                rows += (repr(row.score) if row.ranked else "", orjson.dumps(asdict(row)).decode())
            members = orjson.dumps([member(row) for row in board.standings])
            args += (board.order, orjson.dumps(board_head(board)), members, orjson.dumps(rows))
            of_board = self._keys.board(board)
            keys += (of_board.scores, of_board.rows, of_board.part)
        return _Write(PUT_BOARDS, keys, args)

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
            common = self._common(update, tenant)
            yield _Write(
                PUT_ALERTS, keys, [*common, update.status.order, whole, orjson.dumps(fields)]
            )

    async def _write(self, update: Update) -> tuple[bytes, bytes, int]:
        """The marker that was found first and last, and how many writes came too late."""
        markers, late = [], 0
        writes = self._writes(update)
        # A chunk is made when it is its turn: a large update does not hold the loop.
        while chunk := list(islice(writes, CHUNK)):
            try:
                marker, answers = await self._run(chunk)
            except NoScriptError:
                for script in SCRIPTS:
                    await self._client.script_load(script)
                marker, answers = await self._run(chunk)
            markers.append(marker)
            late += sum(map(len, answers))
        if update.whole:
            markers.append(await self._tell_of_everything(update))
        return markers[0], markers[-1], late

    async def _run(self, chunk: Sequence[_Write]) -> _Answer:
        """Run it in one round trip with all that waits for one."""
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((chunk, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run_waiting())
        return await answer

    async def _run_waiting(self) -> None:
        while waiting := self._waiting:
            self._waiting = []
            answers: list[_Answer | Exception]
            try:
                answers = await self._run_all([chunk for chunk, _ in waiting])
            except Exception as error:  # noqa: BLE001 - raised by each who waits
                waiting += self._waiting  # they would wait as long for the same
                self._waiting = []
                answers = [error] * len(waiting)
            for (_, told), answer in zip(waiting, answers, strict=True):
                if told.done():
                    continue  # who asked was cancelled
                if isinstance(answer, Exception):
                    told.set_exception(answer)
                else:
                    told.set_result(answer)

    async def _run_all(self, chunks: Sequence[Sequence[_Write]]) -> list[_Answer | Exception]:
        """What each chunk is answered, or the first error among its scripts."""
        async with self._client.pipeline(transaction=False) as pipe:
            self._look(pipe)
            for write in chain.from_iterable(chunks):
                pipe.evalsha(_SHA[write.script], len(write.keys), *write.keys, *write.args)
            _, marker, *flat = await pipe.execute(raise_on_error=False)
        each = iter(flat)
        answers: list[_Answer | Exception] = []
        for chunk in chunks:
            of_chunk = list(islice(each, len(chunk)))
            failed = [answer for answer in (marker, *of_chunk) if isinstance(answer, Exception)]
            answers.append(failed[0] if failed else (marker, of_chunk))
        return answers

    def _look(self, pipe: Pipeline) -> None:
        """Two commands: leave a marker where none is, and read it."""
        pipe.set(self._keys.marker, f"{self._name}-{next(self._numbers)}", nx=True)
        pipe.get(self._keys.marker)

    async def _tell_of_everything(self, update: Update) -> bytes:
        """One notice for each tenant; the marker as it is after all that was written."""
        async with self._client.pipeline(transaction=False) as pipe:
            for tenant in _tenants(update):
                pipe.publish(self._keys.changes(tenant), orjson.dumps([EVERYTHING]))
            self._look(pipe)
            answers = await pipe.execute()
        return cast("bytes", answers[-1])


def _tenants(update: Update) -> set[str]:
    """Whose alerts a whole update speaks of."""
    tenants = {view.entity.tenant for view in update.views}
    tenants |= {board.tenant for board in update.leaderboards}
    return tenants | {alert.tenant for alert in update.alerts}


def _view_fields(view: View, opened: dict[int, str]) -> str:
    """JSON list field, value, …: what the view is of as plain text, its figures as JSON.

    `opened`: what is open, written, by the id of it. The windows of a part share it: it is long.
    """
    entity = view.entity
    names = ["tenant", entity.tenant, "kind", entity.kind, "id", entity.id, "window", view.window]
    if entity.team is not None:
        names += ("team", entity.team)
    if view.part is not None:
        names += ("part", str(view.part))
    when = _when(view.order, view.as_of_ms, view.data_as_of_ms, view.start_ms, view.end_ms)
    figures = _fields_named(tuple(view.metrics)) % tuple(_texts(view.metrics.values()))
    vectors = ""
    if view.vector is not None or view.live_vector is not None:
        live = opened.get(id(view.live_vector))
        if live is None:
            live = opened[id(view.live_vector)] = _items(["live_vector", _text(view.live_vector)])
        fields = ["vector", _text(view.vector), "vector_as_of_ms", str(view.as_of_ms)]
        vectors = f",{_items(fields)},{live}"
    return f"[{when},{_items(names)}{figures}{vectors}]"


@lru_cache(64)
def _when(
    order: str, as_of_ms: int, data_as_of_ms: int, start_ms: int | None, end_ms: int | None
) -> str:
    """The first fields. Remembered: the views of a tick share them."""
    fields = ["order", order]
    fields += _moment("as_of", as_of_ms)
    fields += _moment("data_as_of", data_as_of_ms)
    if start_ms is not None and end_ms is not None:
        fields += _moment("window_start", start_ms)
        fields += _moment("window_end", end_ms)
    return _items(fields)


@lru_cache(64)
def _fields_named(names: tuple[str, ...]) -> str:
    """A format for these fields, of which there are few sets."""
    return "".join(f',"{name}","%s"' for name in names)


def _items(texts: list[str]) -> str:
    """A JSON list without its brackets."""
    return orjson.dumps(texts)[1:-1].decode()


def _texts(values: Collection[Value]) -> list[str]:
    """Each value as JSON that stands in quotes.

    Numbers, as most are, are written in one go and parted at the commas.
    """
    together = orjson.dumps(list(values))[1:-1].decode()
    if '"' not in together:
        return together.split(",") if together else []
    numbers = [None if isinstance(value, _WITH_COMMAS) else value for value in values]
    texts = orjson.dumps(numbers)[1:-1].decode().split(",")
    for at, value in enumerate(values):
        if isinstance(value, _WITH_COMMAS):
            texts[at] = _text(_text(value))[1:-1]
    return texts


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _moment(name: str, ms: int) -> tuple[str, str, str, str]:
    return name, written(ms), f"{name}_ms", str(ms)


def _status_fields(shard: int, status: ShardStatus) -> bytes:
    fields = ["order", status.order, "shard", str(shard)]
    fields += _moment("as_of", status.as_of_ms)
    fields += _moment("data_as_of", status.data_as_of_ms)
    fields += ("sources", _text(status.sources))
    for name in ("lag", "events", "delay_ms"):
        fields += (name, _text(getattr(status, name)))
    return orjson.dumps(fields)

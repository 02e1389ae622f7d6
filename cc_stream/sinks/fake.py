"""A view store in memory that obeys what Redis obeys: for tests that need no server.

One contract suite runs over both (`tests/contracts/test_view_store.py`).
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from msgspec import Struct

from cc_stream.alerts.engine import Alert
from cc_stream.leaderboard import Leaderboard
from cc_stream.sinks.reader import Notices, view_order, whole_boards
from cc_stream.sinks.redis_keys import EVERYTHING, Keys
from cc_stream.sinks.sink import ShardStatus, SinkUnavailable, Update
from cc_stream.view import KINDS, View

Kept = TypeVar("Kept")


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class _Entry(Struct, Generic[Kept], frozen=True):
    order: str
    expires_ms: int
    kept: Kept


class _Shelf(Generic[Kept]):
    """Values by key, each with its order and its expiry."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._entries: dict[Hashable, _Entry[Kept]] = {}

    def get(self, key: Hashable) -> _Entry[Kept] | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.expires_ms > self._clock_ms() else None

    def put(self, key: Hashable, order: str, kept: Kept, keep_ms: int) -> bool:
        """False, and nothing is changed, if what is there has a higher order."""
        entry = self.get(key)
        if entry is not None and entry.order > order:
            return False
        self._entries[key] = _Entry(order, self._clock_ms() + keep_ms, kept)
        return True

    def items(self) -> Iterator[tuple[Hashable, Kept]]:
        now_ms = self._clock_ms()
        return ((k, e.kept) for k, e in self._entries.items() if e.expires_ms > now_ms)

    def clear(self) -> None:
        self._entries.clear()


class FakeStore:
    """What is kept; several sinks and readers may share it, as they share a Redis.

    `is_down` True makes every call fail. `clock_ms` decides what has expired.
    """

    def __init__(self, clock_ms: Callable[[], int] = _monotonic_ms) -> None:
        self.is_down = False
        self.marker = uuid.uuid4().hex
        self.views: _Shelf[View] = _Shelf(clock_ms)
        self.boards: _Shelf[Leaderboard] = _Shelf(clock_ms)
        self.alerts: _Shelf[dict[tuple[str, str], Alert]] = _Shelf(clock_ms)
        self.shards: _Shelf[ShardStatus] = _Shelf(clock_ms)
        self.listeners: list[tuple[str, asyncio.Queue[list[str]]]] = []

    def lose_everything(self) -> None:
        """As a Redis that was started anew."""
        self.marker = uuid.uuid4().hex
        for shelf in (self.views, self.boards, self.alerts, self.shards):
            shelf.clear()

    def check(self) -> None:
        """SinkUnavailable while it is down."""
        if self.is_down:
            raise SinkUnavailable("the store in memory is down")


class FakeSink:
    """A `Sink` into a `FakeStore`."""

    def __init__(self, store: FakeStore, prefix: str = "cc", keep_seconds: float = 172_800) -> None:
        self._store = store
        self._keys = Keys(prefix)
        self._keep_ms = round(keep_seconds * 1000)
        self._known: dict[int, str] = {}

    async def publish(self, update: Update) -> bool:
        """See `Sink.publish`."""
        store, keep_ms = self._store, self._keep_ms
        if store.is_down:
            self._known.pop(update.shard, None)
        store.check()
        changed: dict[str, list[str]] = {}
        for view in update.views:
            key = self._keys.view(view)
            if store.views.put(key, view.order, view, keep_ms):
                changed.setdefault(view.entity.tenant, []).append(key)
        for board in update.leaderboards:
            keys = self._keys.board(board)
            if store.boards.put(keys.part, board.order, board, keep_ms):
                changed.setdefault(board.tenant, []).append(keys.scores)
        self._put_alerts(update, changed)
        store.shards.put(update.shard, update.status.order, update.status, keep_ms)
        for tenant, queue in store.listeners:
            if tenant in changed:
                queue.put_nowait([EVERYTHING] if update.whole else changed[tenant])
        if update.whole:
            self._known[update.shard] = store.marker
        return self._known.get(update.shard) != store.marker

    def forget(self, shard: int) -> None:
        """See `Sink.forget`."""
        self._known.pop(shard, None)

    async def close(self) -> None:
        """See `Sink.close`."""

    def _put_alerts(self, update: Update, changed: dict[str, list[str]]) -> None:
        shelf, order = self._store.alerts, update.status.order
        tenants = {alert.tenant for alert in update.alerts}
        if update.whole:
            tenants |= {view.entity.tenant for view in update.views}
        for tenant in sorted(tenants):
            entry = shelf.get((tenant, update.shard))
            kept = {} if entry is None or update.whole else dict(entry.kept)
            for alert in update.alerts:
                if alert.tenant == tenant and alert.is_active:
                    kept[alert.queue, alert.rule] = alert
                elif alert.tenant == tenant:
                    kept.pop((alert.queue, alert.rule), None)
            if shelf.put((tenant, update.shard), order, kept, self._keep_ms):
                changed.setdefault(tenant, []).append(self._keys.alerts(tenant))


class FakeReader:
    """A `Reader` of a `FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    async def tenants(self) -> list[str]:
        """See `Reader.tenants`."""
        self._store.check()
        return sorted({view.entity.tenant for _, view in self._store.views.items()})

    async def views(self, tenant: str, kinds: Sequence[str] = KINDS) -> list[View]:
        """See `Reader.views`."""
        self._store.check()
        views = (view for _, view in self._store.views.items())
        found = [v for v in views if v.entity.tenant == tenant and v.entity.kind in kinds]
        return sorted(found, key=view_order)

    async def leaderboards(self, tenant: str) -> list[Leaderboard]:
        """See `Reader.leaderboards`."""
        self._store.check()
        return whole_boards(b for _, b in self._store.boards.items() if b.tenant == tenant)

    async def alerts(self, tenant: str) -> list[Alert]:
        """See `Reader.alerts`."""
        self._store.check()
        kept = (alerts.values() for _, alerts in self._store.alerts.items())
        found = [alert for alerts in kept for alert in alerts if alert.tenant == tenant]
        return sorted(found, key=lambda alert: (alert.queue, alert.rule))

    async def shards(self) -> dict[int, ShardStatus]:
        """See `Reader.shards`."""
        self._store.check()
        found = {shard: s for shard, s in self._store.shards.items() if isinstance(shard, int)}
        return dict(sorted(found.items()))

    @asynccontextmanager
    async def changes(self, tenant: str) -> AsyncIterator[Notices]:
        """See `Reader.changes`."""
        self._store.check()
        queue: asyncio.Queue[list[str]] = asyncio.Queue()
        self._store.listeners.append((tenant, queue))
        try:
            yield _FakeNotices(self._store, queue)
        finally:
            self._store.listeners.remove((tenant, queue))

    async def close(self) -> None:
        """See `Reader.close`."""


class _FakeNotices:
    """Notices of one subscription."""

    def __init__(self, store: FakeStore, queue: asyncio.Queue[list[str]]) -> None:
        self._store, self._queue = store, queue

    async def next(self, timeout_seconds: float) -> list[str] | None:
        """See `Notices.next`."""
        self._store.check()
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_seconds)
        except TimeoutError:
            return None

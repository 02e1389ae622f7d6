"""What every view store obeys: one suite for the fake in memory and for a real Redis."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace

from cc_stream.alerts.engine import Alert
from cc_stream.leaderboard import Leaderboard, Scope, Standing
from cc_stream.sinks.fake import FakeReader, FakeSink, FakeStore
from cc_stream.sinks.reader import Reader
from cc_stream.sinks.redis import RedisSink, connect
from cc_stream.sinks.redis_reader import RedisReader
from cc_stream.sinks.sink import ShardStatus, Sink, Update
from cc_stream.view import LIVE_VIEW, Entity, View, order_of

MINUTE = 60_000
NOW = 1_800_000_000_000
TENANT = "acme: north/1%"
SOON_SECONDS = 10.0


class Store:
    """One store with as many sinks as there are workers; all are closed in the end."""

    def __init__(self, sink: Callable[[float], Sink], reader: Reader) -> None:
        self._sink, self.reader = sink, reader
        self._sinks: list[Sink] = []

    def sink(self, keep_seconds: float = 60) -> Sink:
        self._sinks.append(self._sink(keep_seconds))
        return self._sinks[-1]

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def closing() -> None:
            try:
                await scenario()
            finally:
                for sink in self._sinks:
                    await sink.close()
                await self.reader.close()

        asyncio.run(closing())


@pytest.fixture(params=["fake", "redis"])
def store(request: pytest.FixtureRequest, unique_name: str) -> Store:
    if request.param == "fake":
        kept = FakeStore()
        return Store(lambda seconds: FakeSink(kept, unique_name, seconds), FakeReader(kept))
    url = request.getfixturevalue("redis_server").url
    return Store(
        lambda seconds: RedisSink(connect(url), unique_name, seconds),
        RedisReader(connect(url), unique_name),
    )


def order(offset: int, as_of_ms: int = NOW) -> str:
    return order_of(1, offset, as_of_ms)


def view(offset: int = 1, **changes: object) -> View:
    one = View(
        Entity(TENANT, "queue", "sales: A/B"),
        "5m",
        NOW - 5 * MINUTE,
        NOW,
        NOW,
        NOW - 1234,
        order(offset),
        {
            "offered": 3,
            "service_level": 0.1 + 0.2,
            "queue_wait_mean_seconds": None,
            "rejected": {"full": 1},
            "service_level_formula": "abandons_negative",
            "hold_known": True,
        },
    )
    return replace(one, **changes)


def update(*views: View, shard: int = 0, offset: int = 1, **changes: object) -> Update:
    status = ShardStatus(
        NOW, NOW - 5, order(offset), {"pbx": NOW - 5}, lag=3, events=7, delay_ms=40
    )
    return replace(Update(shard, NOW, views, (), (), False, status), **changes)  # noqa: FBT003


def standing(agent: str, score: float, *, ranked: bool = True) -> Standing:
    reason = None if ranked else "not ranked yet"
    return Standing(agent, "t", None, score, score, 20, None, ranked, reason)


def board(
    *rows: Standing, part: int | None = None, offset: int = 1, **changes: object
) -> Leaderboard:
    scope: Scope = "team" if part is None else "floor"
    one = Leaderboard(
        TENANT,
        scope,
        "t",
        "handled",
        "60m",
        NOW - 60 * MINUTE,
        NOW,
        NOW,
        NOW,
        order(offset),
        rows,
        part,
    )
    return replace(one, **changes)


def alert(queue: str = "sales", **changes: object) -> Alert:
    one = Alert(
        f"id-{queue}",
        TENANT,
        queue,
        "waiting_now",
        "raised",
        "warning",
        NOW - 2000,
        NOW - 1000,
        NOW,
        None,
        12,
        12,
        10,
        {"waiting_now": 12},
        "12 waiting",
    )
    return replace(one, **changes)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        while not await condition():  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(0.01)


def test_a_view_comes_back_as_it_was(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        live = view(window=LIVE_VIEW, start_ms=None, end_ms=None, metrics={"waiting_now": 2})
        agent = view(entity=Entity(TENANT, "agent", "a:1", "t%"), window="today")
        other = view(entity=Entity("other", "queue", "sales"))
        vector = {"offered": 3, "wait_answered_seconds": {"17": 1}}
        floor = view(
            entity=Entity(TENANT, "floor", "floor"), part=2, vector=vector, live_vector={"lost": 1}
        )
        await sink.publish(update(live, view(), agent, other, floor))
        assert await store.reader.views(TENANT) == [agent, floor, view(), live]
        assert await store.reader.views(TENANT, ("agent",)) == [agent]
        assert await store.reader.views("other") == [other]
        assert await store.reader.views("nobody") == []
        assert await store.reader.tenants() == sorted([TENANT, "other"])

    store.run(scenario)


def test_a_later_view_replaces_the_whole_of_it_and_a_late_writer_loses(store: Store) -> None:
    async def scenario() -> None:
        old, new = store.sink(), store.sink()
        await old.publish(update(view(5), offset=5))
        later = view(7, metrics={"offered": 4})
        await new.publish(update(later, offset=7))
        await old.publish(update(view(6), offset=6))
        assert await store.reader.views(TENANT) == [later]
        assert (await store.reader.shards())[0].order == order(7)
        again = view(7, metrics={"offered": 5})
        await new.publish(update(again, offset=7))
        assert await store.reader.views(TENANT) == [again]

    store.run(scenario)


def test_a_vector_is_given_only_with_the_figures_of_its_moment(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        whole = view(1, vector={"offered": 3}, live_vector={})
        await sink.publish(update(whole, whole=True))
        assert await store.reader.views(TENANT) == [whole]
        later = view(2, as_of_ms=NOW + 50)
        await sink.publish(update(later, offset=2))
        assert await store.reader.views(TENANT) == [later]

    store.run(scenario)


def test_figures_that_are_gone_leave_with_and_without_a_vector(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        vector: dict[str, Any] = {"vector": {"offered": 3}, "live_vector": {}}
        few = {"offered": 3, "service_level": 0.5, "hold_known": True}
        schedule = [
            view(1, **vector),
            view(2, metrics=few, **vector),
            view(3),
            view(4, metrics=few),
            view(5, metrics={}),
            view(6, metrics=few, **vector),
        ]
        for offset, one in enumerate(schedule, start=1):
            moved = replace(one, as_of_ms=NOW + offset)
            await sink.publish(update(moved, offset=offset))
            assert await store.reader.views(TENANT) == [moved]

    store.run(scenario)


def test_what_is_not_written_again_expires(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink(0.05)
        await sink.publish(update(view(), leaderboards=[board(standing("a", 3.0))]))

        async def gone() -> bool:
            return not (
                await store.reader.views(TENANT)
                or await store.reader.leaderboards(TENANT)
                or await store.reader.shards()
            )

        await until(gone)
        # The guard is gone with it: a lower order is written again.
        await store.sink().publish(update(view(0), offset=0))
        assert await store.reader.views(TENANT) == [view(0)]

    store.run(scenario)


def test_a_shard_says_how_it_stands(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        first, second = update(), update(shard=11, offset=4)
        await sink.publish(second)
        await sink.publish(first)
        assert await store.reader.shards() == {0: first.status, 11: second.status}

    store.run(scenario)


def test_each_shard_replaces_its_own_part_of_a_floor_board(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        one = board(standing("a", 30.0), standing("b", 20.0), part=0)
        two = board(standing("c", 25.0), standing("d", 0.0, ranked=False), part=1)
        await sink.publish(update(leaderboards=[one, two]))
        (whole,) = await store.reader.leaderboards(TENANT)
        assert [(row.agent, row.rank) for row in whole.standings] == [
            ("a", 1),
            ("c", 2),
            ("b", 3),
            ("d", None),
        ]
        assert (whole.part, whole.order, whole.start_ms) == (None, order(1), NOW - 60 * MINUTE)
        await sink.publish(update(leaderboards=[board(standing("b", 26.0), part=0, offset=3)]))
        await sink.publish(update(leaderboards=[board(standing("x", 99.0), part=0, offset=2)]))
        (whole,) = await store.reader.leaderboards(TENANT)
        assert [row.agent for row in whole.standings] == ["b", "c", "d"]
        await sink.publish(update(leaderboards=[board(part=0, offset=4)]))
        (whole,) = await store.reader.leaderboards(TENANT)
        assert [row.agent for row in whole.standings] == ["c", "d"]

    store.run(scenario)


def test_who_is_not_ranked_any_more_is_listed_behind(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        await sink.publish(update(leaderboards=[board(standing("a", 3.0), standing("b", 2.0))]))
        again = board(standing("b", 2.0), standing("a", 0.0, ranked=False), offset=2)
        await sink.publish(update(leaderboards=[again], offset=2))
        (whole,) = await store.reader.leaderboards(TENANT)
        assert [(row.agent, row.rank) for row in whole.standings] == [("b", 1), ("a", None)]

    store.run(scenario)


def test_boards_of_different_teams_windows_and_names_are_apart(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        boards = [
            board(standing("a", 1.0)),
            board(standing("a", 2.0), scope_id="u"),
            board(standing("a", 3.0), window="today"),
            board(standing("a", 0.5), name="conversion"),
        ]
        await sink.publish(update(leaderboards=boards))
        scores = [b.standings[0].score for b in await store.reader.leaderboards(TENANT)]
        assert scores == [0.5, 1.0, 3.0, 2.0]

    store.run(scenario)


def test_alerts_come_and_go_and_a_whole_update_drops_what_it_does_not_name(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        mine, other = alert("a"), alert("z")
        await sink.publish(update(shard=1, alerts=[other]))
        await sink.publish(update(alerts=[mine, alert("b")]))
        assert await store.reader.alerts(TENANT) == [mine, alert("b"), other]
        critical = alert(
            "b", change="updated", severity="critical", value=25, updated_at_ms=NOW + 9
        )
        await sink.publish(update(alerts=[critical], offset=2))
        await sink.publish(
            update(alerts=[alert("a", change="cleared", cleared_at_ms=NOW)], offset=3)
        )
        assert await store.reader.alerts(TENANT) == [critical, other]
        await sink.publish(update(alerts=[mine], offset=2))
        assert await store.reader.alerts(TENANT) == [critical, other]
        await sink.publish(update(view(4), alerts=[mine], offset=4, whole=True))
        assert await store.reader.alerts(TENANT) == [mine, other]
        await sink.publish(update(view(5), offset=5, whole=True))
        assert await store.reader.alerts(TENANT) == [other]

    store.run(scenario)


def test_readers_are_told_what_has_changed(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        async with store.reader.changes(TENANT) as notices:
            await sink.publish(update(view(entity=Entity("other", "queue", "sales"))))
            await sink.publish(update(view(5), leaderboards=[board(standing("a", 1.0))]))
            told: list[str] = []
            async with asyncio.timeout(SOON_SECONDS):
                while len(told) < 2:
                    told += await notices.next(SOON_SECONDS) or []
            assert [key.partition(":")[2] for key in told] == [
                "acme%3A%20north%2F1%25:queue:sales%3A%20A%2FB:5m",
                "acme%3A%20north%2F1%25:leaderboard:team:t:handled:60m",
            ]
            # A late writer changes nothing, so nobody is told.
            await sink.publish(update(view(4)))
            await sink.publish(update(view(6), whole=True))
            assert await notices.next(SOON_SECONDS) == ["*"]
            assert await notices.next(0.01) is None

    store.run(scenario)


def test_a_shard_that_was_not_written_whole_is_asked_for_it(store: Store) -> None:
    async def scenario() -> None:
        sink = store.sink()
        assert await sink.publish(update(view()))
        assert not await sink.publish(update(view(), whole=True))
        assert not await sink.publish(update(view(2), offset=2))
        assert await sink.publish(update(view(), shard=1))
        sink.forget(0)
        assert await sink.publish(update(view(3), offset=3))

    store.run(scenario)

"""Redis goes away while events flow: the stream goes on, and all views come back by themselves."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from cc_stream.cli.drain import lag_of
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.outputs import view_of
from cc_stream.report.topic import last_values
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.view import Entity, View
from tests.broker.floor import Floor, Sent, event, open_floor, simulated
from tests.waiting import wait_for

WHOLE_SECONDS = 10.0
AGENTS = 2_000
COUNTS = ("offered", "answered", "abandoned", "handled", "talk_total_seconds")

Name = tuple[Entity, str, int | None]
Harm = Callable[[RedisServer], None]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for this module alone."""
    with RedisServer(tmp_path_factory.mktemp("own-redis")) as server:
        yield server


@pytest.fixture(scope="module")
def floor(
    kafka: KafkaServer, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    folder = tmp_path_factory.mktemp("redis-outage")
    with open_floor("redis-outage", folder, kafka.bootstrap, redis.url) as opened:
        opened.worker()
        opened.wait_owned()
        yield opened


def empty(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as client:
        client.flushall()


def nothing(_redis: RedisServer) -> None:
    """It goes on."""


def named(views: list[View]) -> dict[Name, View]:
    return {(view.entity, view.window, view.part): view for view in views}


def counts(view: View) -> dict[str, object]:
    return {name: view.metrics[name] for name in COUNTS if name in view.metrics}


def told_on_kafka(floor: Floor) -> dict[Name, View]:
    """The same views as they lie on their topic, which no Redis can harm."""
    values = asyncio.run(last_values(floor.settings.broker, floor.topics.metrics.name))
    return named([view_of(value) for value in values.values()])


def differing(floor: Floor) -> list[str]:
    """Views that are not in Redis, or count something else than their record on Kafka.

    One that is newer than its record is left to the comparison with the report: the topic is told
    of agents and of parts of the floor every few seconds, and time moves their windows meanwhile.
    """
    wanted, found = told_on_kafka(floor), named(floor.views())
    return [
        f"{name}: {name in found and counts(found[name])} for {counts(view)}"
        for name, view in wanted.items()
        if name not in found
        or (found[name].order <= view.order and counts(found[name]) != counts(view))
    ]


def wait_until_whole(floor: Floor) -> None:
    """What changes on the board without an event, until then, goes to both."""
    end = time.monotonic() + WHOLE_SECONDS
    while found := differing(floor):
        assert time.monotonic() < end, found[:5]


def moved_on(floor: Floor, before: dict[str, int]) -> bool:
    """Whether the shards of both stages have committed more."""
    now = floor.positions()
    stages = (floor.topics.calls.name, floor.topics.agents.name, floor.topics.deltas.name)
    return all(
        any(now[shard] > before.get(shard, 0) for shard in now if shard.startswith(stage))
        for stage in stages
    )


@pytest.mark.parametrize(
    ("harm", "repair", "is_away"),
    [
        (RedisServer.kill, RedisServer.start, True),
        (RedisServer.pause, RedisServer.resume, True),
        (empty, nothing, False),
    ],
    ids=["killed", "hanging", "emptied"],
)
def test_the_stream_goes_on_and_views_are_whole_again_without_an_event(
    floor: Floor, redis: RedisServer, harm: Harm, repair: Harm, *, is_away: bool
) -> None:
    with simulated(floor, seats=200, minutes=10) as simulator:
        wait_for(lambda: simulator.is_live, 30)
        wait_for(floor.views, 30)
        harm(redis)
        if is_away:
            wait_for(lambda: floor.scrape().total("cc_sink_up") == 0, 20)
        before = floor.positions()
        wait_for(lambda: moved_on(floor, before), 20)
    wait_for(lambda: lag_of(floor.scrape(), floor.topics) == 0, 20)
    if not is_away:
        harm(redis)
    repair(redis)
    wait_until_whole(floor)
    compared = floor.compared()
    assert compared.is_proof, compared.text()
    assert floor.scrape().total("cc_shard_drops_total") is None


def available(floor: Floor, count: int) -> Iterator[Sent]:
    """So many agents log on."""
    for number in range(count):
        agent = f"late-{number}"
        data = {"agent_id": agent, "state": "available"}
        value = event("agent.state_changed.v1", wall_clock_ms(), data)
        yield Sent(floor.topics.agents.name, agent.encode(), value)


def test_thousands_of_views_that_changed_meanwhile_are_whole_in_time(
    floor: Floor, redis: RedisServer
) -> None:
    redis.kill()
    floor.write(available(floor, AGENTS))
    wait_for(lambda: floor.scrape().total("cc_sink_up") == 0, 20)
    new = wait_for(lambda: new_on_kafka(floor), 40)
    redis.start()
    started = time.monotonic()
    wait_until_whole(floor)
    print(f"{len(new)} views whole after {time.monotonic() - started:.1f} s")  # noqa: T201 - measured
    assert new <= named(floor.views()).keys()
    compared = floor.compared()
    assert compared.is_proof, compared.text()


def new_on_kafka(floor: Floor) -> set[Name]:
    """The views of those agents, once all of them are there."""
    found = {name for name in told_on_kafka(floor) if name[0].id.startswith("late-")}
    return found if len({name[0].id for name in found}) == AGENTS else set()

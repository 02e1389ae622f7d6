"""Two workers of one group: they share, one leaves, and a later start repeats nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cc_stream.cli.drain import TICK_KEY
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.topics import Topic
from tests.broker.floor import Floor, open_floor, simulated
from tests.waiting import wait_for

SEATS = 150
MINUTES = 90
SOME = 4_000
"""Events after which the second worker joins."""


@pytest.fixture
def floor(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> Iterator[Floor]:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as opened:
        yield opened


def deltas_of(floor: Floor) -> list[tuple[int, bytes]]:
    """Partition and value of every delta, without the requests for a full tick."""
    records = floor.read(floor.topics.deltas)
    return [(record.partition, record.value) for record in records if record.key != TICK_KEY]


def last_of(floor: Floor, topic: Topic) -> dict[int, int]:
    """The offset of the last record in each partition; markers may lie behind it."""
    return {record.partition: record.offset for record in floor.read(topic)}


def test_two_share_one_leaves_and_nothing_is_lost_or_repeated(floor: Floor) -> None:
    first = floor.worker()
    floor.wait_owned()
    with simulated(floor, seats=SEATS, minutes=MINUTES) as simulator:
        wait_for(lambda: simulator.events > SOME, 30)
        second = floor.worker()
        # No other setting than the group: each has a part, and together all.
        wait_for(lambda: min(floor.owned(first), floor.owned(second)) > 0, 30)
        floor.wait_owned()
        parts = floor.owned(first), floor.owned(second)
        assert abs(parts[0] - parts[1]) <= 2, parts
        wait_for(lambda: simulator.is_live, 60)
        first.terminate()
        assert first.exit_code() == 0
        floor.wait_owned(second)
    compared = floor.compared()
    assert compared.is_proof, compared.text()
    assert floor.scrape(second).total("cc_shard_drops_total") is None

    second.terminate()
    assert second.exit_code() == 0
    names = floor.topics
    floor_shards = (names.calls.name, names.agents.name, names.reference.name)
    before = {s: at for s, at in floor.positions().items() if s.startswith(floor_shards)}
    outputs = names.contacts, names.dead_letters
    written = [last_of(floor, topic) for topic in outputs]
    deltas = deltas_of(floor)
    third = floor.worker()
    floor.wait_owned(third)
    again = floor.compared()
    assert again.is_proof, again.text()
    assert again.compared["contacts"] == compared.compared["contacts"]
    assert not floor.scrape(third).total("cc_records_total")
    assert {s: at for s, at in floor.positions().items() if s.startswith(floor_shards)} == before
    assert [last_of(floor, topic) for topic in outputs] == written
    assert deltas_of(floor) == deltas

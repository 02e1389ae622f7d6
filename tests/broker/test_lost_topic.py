"""A topic is made anew under running workers: its shards stop, and the others go on."""

import asyncio
from pathlib import Path

from aiokafka.admin import NewTopic

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.topics import Topic
from tests.broker.anew import make_anew
from tests.broker.floor import Floor, open_floor, queued
from tests.waiting import wait_for


def remade(floor: Floor, topic: Topic) -> None:
    new = NewTopic(topic.name, topic.partitions, 1, topic_configs=dict(topic.config))
    asyncio.run(make_anew(floor.settings.broker, new))


def test_only_the_shards_of_a_topic_made_anew_stop_and_stay_stopped(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as floor:
        worker = floor.worker()
        floor.wait_owned(worker)
        now_ms = wall_clock_ms()
        floor.write(queued(floor, f"c{n}", "sales", now_ms) for n in range(200))
        floor.wait_drained()
        calls = floor.topics.calls
        before = floor.positions()

        remade(floor, calls)
        wait_for(lambda: floor.scrape().total("cc_shards_stopped") == calls.partitions, 60)
        assert worker.running
        others = floor.shards - calls.partitions
        wait_for(lambda: floor.owned() == others, 10)
        floor.write(queued(floor, f"d{n}", "sales", now_ms) for n in range(2_000))

        # A restart changes nothing: position and state are those of the old topic.
        worker.stop()
        second = floor.worker()
        wait_for(lambda: floor.scrape(second).total("cc_shards_stopped") == calls.partitions, 60)
        wait_for(lambda: floor.owned(second) == others, 30)
        after = floor.positions()
        assert {k: v for k, v in after.items() if k.startswith(calls.name)} == {
            k: v for k, v in before.items() if k.startswith(calls.name)
        }

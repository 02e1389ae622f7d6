"""A topic is deleted under running workers, and made anew: its shards stop, the others go on."""

import asyncio
from http import HTTPStatus
from pathlib import Path

from aiokafka.admin import NewTopic

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from tests.asked import asked
from tests.broker.anew import delete, make
from tests.broker.floor import open_floor, queued
from tests.waiting import wait_for


def test_a_topic_that_was_deleted_is_told_and_made_anew_only_its_shards_stop_and_stay_stopped(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(
        unique_name, tmp_path, kafka.bootstrap, redis_server.url, session_seconds=2
    ) as floor:
        worker = floor.worker()
        floor.wait_owned(worker)
        now_ms = wall_clock_ms()
        floor.write(queued(floor, f"c{n}", "sales", now_ms) for n in range(200))
        floor.wait_drained()
        calls = floor.topics.calls
        before = floor.positions()

        assert asked(worker.port, "/readyz") == (HTTPStatus.OK, "ok\n")
        asyncio.run(delete(kafka.bootstrap, calls.name))
        wait_for(lambda: floor.scrape().total("cc_topics_missing") == 1, 20)
        told = f"topic {calls.name} is not there: was it deleted?"
        assert told in asked(worker.port, "/readyz").body
        assert told in worker.log_path.read_text()

        new = NewTopic(calls.name, calls.partitions, 1, topic_configs=dict(calls.config))
        asyncio.run(make(kafka.bootstrap, new))
        wait_for(lambda: floor.scrape().total("cc_shards_stopped") == calls.partitions, 60)
        ready = asked(worker.port, "/readyz")
        assert ready.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert ready.body.count("has stopped: the topic ends at 0, before position") == 4
        assert asked(worker.port, "/healthz").status == HTTPStatus.OK
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

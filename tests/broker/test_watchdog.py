"""A worker that stands still, or loses one of its parts, ends with code 1 and says where."""

from pathlib import Path

import pytest

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from tests.broker.floor import open_floor, queued
from tests.broker.harmed import HARMS
from tests.broker.harmed_process import Harmed
from tests.waiting import wait_for

STALLED = {
    "stage-blocks": ("its event loop has not turned for", "in _stage"),
    "consumer-silent": ("has not moved for", "Owner.flush_loop:"),
}
FAILED = {
    "consumer-fails": ("the consumer fails", "Traceback"),
    "task-ends": ("has ended by itself",),
    "task-fails": ("a task fails", "Traceback"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_worker_that_stands_still_ends_with_code_1(
    kafka: KafkaServer, redis_server: RedisServer, tmp_path: Path, harm: str
) -> None:
    settings = {"stall_seconds": 5, "session_seconds": 2}
    with open_floor(harm, tmp_path, kafka.bootstrap, redis_server.url, **settings) as floor:
        worker = Harmed(floor, harm)
        worker.start()
        if harm in STALLED:
            floor.wait_owned(worker)
            floor.write(queued(floor, f"c{n}", "sales", wall_clock_ms()) for n in range(50))
        wait_for(lambda: not worker.running, 40)
        assert worker.exit_code() == 1
        log = worker.log_path.read_text()
        for said in (STALLED | FAILED)[harm]:
            assert said in log

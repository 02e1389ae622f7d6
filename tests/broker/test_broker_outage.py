"""Kafka goes away: for a while, for good, and while a worker is told to end."""

import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from tests.asked import asked
from tests.broker.floor import Floor, Worker, open_floor, queued, simulated
from tests.waiting import wait_for

STALL_SECONDS = 10
END_SECONDS = 10
"""How long a look at a dead broker, and the last words of the worker, may take beside that."""

SAID = 4
"""Lines of a library that may say the same again after ten seconds."""


def notices(floor: Floor, worker: Worker) -> None:
    """Wait until the worker says that the broker is away."""
    wait_for(lambda: floor.scrape(worker).total("cc_broker_up") == 0, 15)
    answer = asked(worker.port, "/readyz")
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "the broker has not answered for" in answer.body
    assert asked(worker.port, "/healthz").status == HTTPStatus.OK


def test_a_worker_goes_on_by_itself_when_the_broker_is_back_and_ends_in_time_when_it_is_not(
    own_kafka: KafkaServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    with open_floor("back", tmp_path, own_kafka.bootstrap, redis_server.url) as floor:
        worker = floor.worker()
        floor.wait_owned()
        with simulated(floor, seats=100, minutes=5) as simulator:
            wait_for(lambda: simulator.events > 100, 30)
            own_kafka.kill()
            notices(floor, worker)
            own_kafka.start()
            wait_for(lambda: floor.owned() == floor.shards, 60)
            wait_for(lambda: "shards commit in every partition" in worker.log_path.read_text(), 15)
        compared = floor.compared()
        assert compared.is_proof, compared.text()
        assert worker.running, worker.why_ended()

        own_kafka.kill()
        notices(floor, worker)
        worker.terminate()
        assert worker.exit_code() in {0, 1}, "in time, though it cannot leave its group"


def test_a_worker_whose_broker_stays_away_ends_with_code_1_whether_it_has_work_or_not(
    own_kafka: KafkaServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    places = own_kafka.bootstrap, redis_server.url
    with ExitStack() as stack:
        idle, busy = (
            stack.enter_context(
                open_floor(name, tmp_path / name, *places, stall_seconds=STALL_SECONDS)
            )
            for name in ("idle", "busy")
        )
        workers = [floor.worker() for floor in (idle, busy)]
        for floor in (idle, busy):
            floor.wait_owned()
        busy.write(queued(busy, f"c{n}", "sales", wall_clock_ms()) for n in range(5_000))
        own_kafka.kill()
        killed = time.monotonic()
        wait_for(lambda: not any(worker.running for worker in workers), STALL_SECONDS + END_SECONDS)
        print(f"ended after {time.monotonic() - killed:.1f} s")  # noqa: T201 - measured
        for worker in workers:
            assert worker.exit_code() == 1
            log = worker.log_path.read_text()
            assert "the worker ends, for the broker has not answered" in log
            assert 0 < log.count("Unable connect to node") <= SAID, "and not hundreds a second"

"""What `/healthz` and `/readyz` answer, asked over HTTP."""

import asyncio
import time
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from cc_stream import telemetry
from cc_stream.telemetry import Exposition, Telemetry
from streams import upkeep
from streams.health import READY_LAG
from streams.owner import Owner, Stopped
from tests.asked import Answer, asked
from tests.waiting import until

READY = (HTTPStatus.OK, "ok\n")


class Loaded:
    """A shard, as far as its health is told."""

    next = durable = 0

    def __init__(self, number: int, *, live: bool = True) -> None:
        self.source = TopicPartition("calls", number)
        self.name = f"calls-{number}"
        self.live = live
        self.stage = SimpleNamespace(name="calls", data_as_of_ms=0)

    def delay_seconds(self) -> float:
        return 0.0


class Worker:
    """The part of a worker that tells of its health every half second, with its page."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.page: Exposition = self.telemetry.serve("127.0.0.1", 0)
        self.owner = Owner(lambda _tp: pytest.fail("nothing is taken"), 1.0, {}, lambda _name: None)
        self.end = 0
        self.consumer = self
        self.ends: dict[TopicPartition, int] = {}
        self.should_stop = False

    def owns(self, *shards: Any) -> None:
        """What is assigned to it."""
        self.owner.joined = True
        self.owner.shards = {shard.source: shard for shard in shards}

    def highwater(self, _tp: TopicPartition) -> int:
        """The end of each partition."""
        return self.end

    async def position(self, _tp: TopicPartition) -> int:
        """Nothing was fetched."""
        return 0

    def ask(self, path: str) -> Answer:
        """One request."""
        return asked(self.page.port, path)

    def answers(self, path: str, expected: tuple[int, str]) -> Answer:
        """What is answered once the worker has told of its state, which has to be this."""

        async def turn() -> Answer:
            telling = asyncio.create_task(upkeep.measure(self, self.owner, self.telemetry))
            try:
                await until(lambda: self.ask(path) == expected, f"{path}: {expected}", 5)
                return await asyncio.to_thread(self.ask, path)
            finally:
                telling.cancel()

        return asyncio.run(turn())


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker to which nothing is assigned yet."""
    made = Worker()
    yield made
    made.page.close()


def unready(*lines: str) -> tuple[int, str]:
    return HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{line}\n" for line in lines)


def test_a_worker_is_ready_once_all_of_its_shards_are_loaded(worker: Worker) -> None:
    assert worker.ask("/readyz") == unready("the worker is starting")
    assert worker.ask("/healthz") == READY, "it is alive all the same"
    worker.answers("/readyz", unready("no partitions are assigned yet"))
    worker.owns(Loaded(0), Loaded(1, live=False))
    worker.answers("/readyz", unready("calls-1 is loading"))
    worker.owns(Loaded(0), Loaded(1))
    worker.answers("/readyz", READY)
    assert worker.ask("/healthz") == READY


def test_a_worker_with_nothing_assigned_stands_by_and_is_ready(worker: Worker) -> None:
    worker.owns()
    worker.answers("/readyz", READY)


def test_a_worker_that_is_far_behind_is_not_ready(worker: Worker) -> None:
    worker.owns(Loaded(0))
    worker.end = READY_LAG
    worker.answers("/readyz", READY)
    worker.end = READY_LAG + 1
    worker.answers("/readyz", unready("calls-0 is 20001 records behind"))
    assert worker.ask("/healthz") == READY, "a restart would not help it"


def test_a_stopped_shard_is_named_with_its_reason(worker: Worker) -> None:
    worker.owns(Loaded(0))
    reason = "records 3 to 7 were deleted before they were counted"
    worker.owner.stopped[TopicPartition("calls", 1)] = Stopped("calls-1", reason)
    worker.answers("/readyz", unready(f"calls-1 has stopped: {reason}"))
    assert worker.ask("/healthz") == READY, "the other shards go on"


def test_a_broker_that_is_away_and_topics_that_are_gone_are_named(worker: Worker) -> None:
    worker.owns()
    worker.telemetry.cluster(12.3, ["cc.calls.v1"])
    away = "the broker has not answered for 12 s"
    worker.answers("/readyz", unready(away, "topic cc.calls.v1 is not there: was it deleted?"))
    assert worker.ask("/healthz") == READY
    worker.telemetry.cluster(0.0, [])
    worker.answers("/readyz", READY)


def test_a_worker_whose_loop_stands_is_neither_alive_nor_ready(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.owns(Loaded(0))
    worker.answers("/readyz", READY)  # and nothing is told from here on
    later = time.monotonic() + 30
    monkeypatch.setattr(telemetry, "time", SimpleNamespace(monotonic=lambda: later))
    stands = unready("the event loop has not turned for 30 s")
    assert worker.ask("/healthz") == stands
    assert worker.ask("/readyz") == stands


def test_any_other_path_is_not_found(worker: Worker) -> None:
    assert worker.ask("/health").status == HTTPStatus.NOT_FOUND

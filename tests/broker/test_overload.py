"""Far more comes in than a worker can count: its memory stays bounded, and it catches up."""

from pathlib import Path

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.simulate.kafka import wall_clock_ms
from tests.broker.floor import Floor, open_floor, queued
from tests.broker.harmed_process import Harmed
from tests.waiting import wait_for

RECORDS = 90_000
PADDING = "x" * 3_000
BOUND_BYTES = 200 << 20
"""What is in flight in a worker, at most: see docs/operations.md. All of it would be far more."""


class Watched:
    """The largest values that a worker told."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.resident = self.delay = 0.0

    def is_through(self) -> bool:
        found = self.floor.scrape()
        self.resident = max(self.resident, found.total("process_resident_memory_bytes") or 0)
        delays = [sample.value for sample in found.named("cc_shard_delay_seconds")]
        self.delay = max(self.delay, *delays)
        return (found.total("cc_repeated_total") or 0) >= RECORDS and max(delays) == 0


def test_memory_stays_bounded_the_delay_is_told_and_nothing_is_lost(
    kafka: KafkaServer, redis_server: RedisServer, unique_name: str, tmp_path: Path
) -> None:
    with open_floor(unique_name, tmp_path, kafka.bootstrap, redis_server.url) as floor:
        now_ms = wall_clock_ms()
        contacts = [queued(floor, f"c{n}", "sales", now_ms, padding=PADDING) for n in range(1_000)]
        floor.write(contacts)
        worker = Harmed(floor, "slow")
        worker.start()
        floor.wait_owned(worker)
        floor.wait_drained()
        before = floor.scrape().total("process_resident_memory_bytes") or 0
        worker.pause()  # so long as the overload is written: it has all of it at once then
        floor.write(one for _ in range(RECORDS // len(contacts)) for one in contacts)
        worker.resume()
        watched = Watched(floor)
        wait_for(watched.is_through, 90)
        assert watched.delay > 0
        assert watched.resident - before < BOUND_BYTES
        print(f"{(watched.resident - before) / (1 << 20):.0f} MiB, {watched.delay:.1f} s")  # noqa: T201 - measured
        assert floor.scrape().total("cc_repeated_total") == RECORDS
        assert floor.metrics("queue", "sales").get("offered") == len(contacts)

"""What is to be reached: each figure with its floor and its aim."""

from typing import Final

from msgspec import Struct


class Aim(Struct, frozen=True):
    """A figure to reach. `at_least`: more is better; else at most."""

    figure: str
    title: str
    floor: float
    aim: float
    at_least: bool = True

    def reached(self, value: float) -> str:
        """`aim`, `floor`, or `missed`."""
        for name, limit in (("aim", self.aim), ("floor", self.floor)):
            if value >= limit if self.at_least else value <= limit:
                return name
        return "missed"


def _at_most(figure: str, title: str, floor: float, aim: float) -> Aim:
    return Aim(figure, title, floor, aim, at_least=False)


AIMS: Final = (
    Aim("both_stages.ratio_to_limit", "both stages, one worker, against the limit", 0.7, 0.9),
    Aim("both_stages.events_per_second", "the same, events/s", 35_000, 80_000),
    Aim("flat.ratio_to_faust", "flat work against stock Faust", 20, 50),
    Aim("flat.ratio_to_quixstreams", "flat work against quixstreams", 8, 15),
    Aim(
        "flat.ratio_to_kafka_streams_1",
        "flat work against Kafka Streams: one thread, in memory, at least once, warm",
        0.7,
        1.2,
    ),
    Aim(
        "flat.cpu_ratio_to_kafka_streams_eos",
        "flat work against Kafka Streams exactly_once_v2, two threads: CPU an event",
        0.8,
        1.2,
    ),
    Aim("workers_2_over_1", "two workers against one, events/s", 1.3, 1.8),
    _at_most("latency.5000.p99_ms", "event → Redis at 5,000 events/s, p99 ms", 250, 120),
    _at_most("latency.10000.p99_ms", "event → Redis at 10,000 events/s, p99 ms", 400, 150),
    _at_most("cpu.idle", "idle worker, share of a core", 0.05, 0.02),
    _at_most("cpu.at_1000", "worker at 1,000 events/s, share of a core", 0.25, 0.15),
    _at_most("recovery.seconds", "1,000,000 state records loaded, s", 10, 3),
    _at_most("memory.bytes_per_open_contact", "bytes an open contact", 2_048, 1_024),
    _at_most(
        "memory.bytes_per_agent",
        "bytes an agent, with today and one rolling window",
        32 * 1_024,
        12 * 1_024,
    ),
    _at_most(
        "views.redis_writes_per_second",
        "views at 10,000 seats and 1,000 events/s: Redis writes/s",
        10_000,
        5_000,
    ),
    _at_most(
        "views.metrics_bytes_per_second",
        "views at 10,000 seats and 1,000 events/s: cc.metrics.v1 bytes/s",
        3_000_000,
        1_000_000,
    ),
    _at_most(
        "both_stages.transactions_per_second",
        "transactions/s of one worker with every partition, full load",
        100,
        60,
    ),
    _at_most(
        "backfill.day_seconds_reckoned",
        "a day of 10,000 seats (8 million events) on one worker, s, reckoned from a million",
        300,
        120,
    ),
)

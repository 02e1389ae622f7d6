"""Every retry has an end: a batch that cannot be read, and poison that does not cease."""

import logging
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition

from streams.owner import ATTEMPTS, POISONS
from tests.streams.installation import Installation

NOW_MS = 1_795_500_000_000
NO_BATCH = b"\xc1"
"""A byte that msgpack never uses."""
MORE = 3
A_SEARCH = 2
"""Loads to find one of so few records: to try them one by one, and to leave out the one."""


@pytest.fixture
def line() -> Iterator[Installation]:
    """One worker with everything."""
    made = Installation(NOW_MS, 1)
    yield made
    made.close()


def loads(line: Installation, shard: str) -> int:
    """How often a shard was taken."""
    return line.kafka.epochs[shard]


def test_a_batch_that_cannot_be_read_ends_the_worker_and_moves_nothing(
    line: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    tp = TopicPartition(line.topics.deltas.name, 0)
    changelog = line.topics.panes_changelog.name
    line.kafka.append(tp, None, NO_BATCH)
    [batch] = line.kafka.of(tp).committed(0, len(line.kafka.of(tp).log))
    [worker] = line.workers
    before, kept = loads(line, "board-0"), line.kafka.topic(changelog)
    deliveries = 0
    with caplog.at_level(logging.WARNING):
        while not worker.ended:
            line.deliver(tp, 0, 100, sought=True)
            deliveries += 1
            assert deliveries < 3 * ATTEMPTS, "an endless loop"
    assert loads(line, "board-0") - before == A_SEARCH + ATTEMPTS
    assert f"shard board-0 is dropped ({ATTEMPTS} in a row)" in caplog.text
    assert f"deltas at {batch.offset} cannot be read" in caplog.text
    assert line.kafka.topic(changelog) == kept, "its position and its state are as they were"
    assert not line.kafka.topic(line.topics.dead_letters.name), "and it is no dead letter"


def test_poison_that_does_not_cease_stops_its_shard_alone(
    line: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    tp, other = (TopicPartition(line.topics.calls.name, number) for number in (0, 1))
    for _ in range(POISONS + MORE):
        line.poison(0)
    line.poison(1)
    with caplog.at_level(logging.ERROR):
        for _ in range(2 * POISONS * A_SEARCH):
            line.deliver(tp, 0, 100, sought=True)
    assert line.has_stopped(tp)
    assert line.letters() == {"poison": POISONS}
    assert loads(line, "calls-0") == 1 + POISONS * A_SEARCH
    [stopped] = line.workers[0].owner.stopped.values()
    assert stopped.reason == f"the program fails on more than {POISONS} records: Poisoned()"
    assert f"shard calls-0 stops and does not count on: {stopped.reason}" in caplog.text

    for _ in range(A_SEARCH + 1):
        line.deliver(other, 0, 100, sought=True)
    line.flush(*line.sources)
    assert line.letters() == {"poison": POISONS + 1}, "the other shards go on"

    line.kill(0)  # as an operator restarts it, with a program that is mended or not
    line.settle()
    assert line.letters() == {"poison": POISONS + MORE + 1}

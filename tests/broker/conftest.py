"""Fixtures for tests that do harm to servers: they get servers of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer


@pytest.fixture
def own_kafka(tmp_path: Path, downloads: Path) -> Iterator[KafkaServer]:
    """A running broker for this test alone, to be killed, paused and restarted (4 s to start)."""
    with KafkaServer(tmp_path / "kafka", downloads) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis for this test alone, to be killed, paused and restarted."""
    with RedisServer(tmp_path / "redis") as server:
        yield server

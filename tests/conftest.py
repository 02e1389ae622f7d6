"""Fixtures that any test may use: real servers, started once, and names of one's own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cc_stream.local.folder import downloads_folder
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer

REPOSITORY = Path(__file__).parent.parent

# A machine that stalls for a second says nothing of an example.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def downloads() -> Path:
    """The folder of this checkout in which fetched programs stay between runs."""
    return downloads_folder(REPOSITORY / ".data")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[KafkaServer]:
    """One real broker for the whole run: leave it running; for faults, start one of your own.

    Where it cannot be started the test fails; it is never skipped.
    """
    with KafkaServer(tmp_path_factory.mktemp("kafka"), downloads) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One real Redis for the whole run: leave it running and use keys with a name of your own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> str:
    """A prefix for topics, groups and keys that no other test and no earlier run has used."""
    test = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    return f"{test}-{uuid.uuid4().hex[:8]}"

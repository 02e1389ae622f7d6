"""`topics`, `doctor`, `simulate` and `report --topic` on real servers."""

from pathlib import Path

import orjson
import pytest

from cc_stream.cli import FAILED, run
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a file of this machine decides a test."""
    monkeypatch.setenv("CC_SETTINGS", "")
    monkeypatch.chdir(tmp_path)


def test_from_nothing_to_all_well(
    kafka: KafkaServer,
    redis_server: RedisServer,
    unique_name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = ["--broker", kafka.bootstrap, "--topic-prefix", unique_name]
    servers = [*broker, "--redis", redis_server.url]

    assert run(["topics", "--check", *broker]) == FAILED
    assert f"topic {unique_name}.calls.v1 is missing" in capsys.readouterr().out
    assert run(["doctor", *servers]) == FAILED
    assert "→ run `cc-stream topics --create`" in capsys.readouterr().out

    assert run(["topics", "--create", *broker]) == 0
    assert f"made {unique_name}.calls.v1" in capsys.readouterr().out
    assert run(["topics", "--check", *broker]) == 0
    assert run(["doctor", *servers]) == 0
    told = capsys.readouterr().out
    assert "all well" in told
    assert "clock of Kafka" in told
    assert "clock of Redis" in told


def test_doctor_finds_other_partitions(
    kafka: KafkaServer,
    redis_server: RedisServer,
    unique_name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = ["--broker", kafka.bootstrap, "--topic-prefix", unique_name]
    assert run(["topics", "--create", *broker]) == 0
    more = ["--redis", redis_server.url, "--set", "calls_partitions=8"]
    assert run(["doctor", *broker, *more]) == FAILED
    told = capsys.readouterr().out
    assert f"topic {unique_name}.calls.v1: partitions is 4, expected 8" in told
    assert "set the partitions in the settings" in told


def test_simulated_to_kafka_and_reported_from_there(
    kafka: KafkaServer,
    unique_name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cc_stream.cli.simulate.WAIT_SECONDS", 0.0)
    broker = ["--broker", kafka.bootstrap, "--topic-prefix", unique_name]
    assert run(["topics", "--create", *broker]) == 0
    span = ["--from", "-20m", "--seats", "20", "--no-faults"]
    assert run(["simulate", "--kafka", *span, *broker]) == 0
    told = capsys.readouterr()
    assert "no worker has copied the reference data" in told.err
    assert run(["report", "--topic", "--format", "json", *broker]) == 0
    queues = orjson.loads(capsys.readouterr().out)
    assert {queue["id"] for queue in queues} >= {"sales", "service"}

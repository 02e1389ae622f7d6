"""The compose file: the same commands and settings as local processes, and least rights."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cc_stream.config import PREFIX, Settings, load_settings
from cc_stream.local.kafka import server_settings
from cc_stream.local.kafka_libs import kafka_version
from tests.deploy.monitoring import DEPLOY, REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "cc-stream"]


def test_everything_is_there() -> None:
    assert set(SERVICES) == {
        "kafka", "redis", "topics", "worker", "simulator", "prometheus", "grafana"
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


@pytest.mark.parametrize("name", SERVICES)
def test_least_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    # Kafka's image writes its configuration at the start; it does not run as root either.
    assert service.get("read_only") or name == "kafka"
    for volume in service.get("volumes", []):
        assert "docker.sock" not in volume
        if volume.startswith("./"):
            assert volume.endswith(":ro")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in {"topics", "simulator"}])
def test_what_goes_on_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_can_be_waited_for(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "on-failure"


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (REPOSITORY / source).exists()
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_name_a_version_and_nothing_is_secret(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image == "cc-stream" or re.search(r":v?\d+\.\d+", image)
    assert not re.search(r"password|secret|token", str(SERVICES[name]), re.IGNORECASE)


@pytest.mark.parametrize("name", OURS)
def test_settings_are_known_and_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC_SETTINGS", "")
    given = {
        key.removeprefix(PREFIX).lower(): re.sub(r"\$\{\w+:-(.*)\}", r"\1", value)
        for key, value in SERVICES[name]["environment"].items()
    }
    assert given.keys() <= Settings.model_fields.keys()
    settings = load_settings(**given)
    assert settings.broker == "kafka:19092"
    assert settings.redis.get_secret_value() == "redis://redis:6379/0"


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_the_command_line(name: str, tmp_path: Path) -> None:
    # Each command is read in full before its help is shown.
    command = [sys.executable, "-m", "cc_stream.cli", *SERVICES[name]["command"], "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["cc-stream"]' in dockerfile


def test_the_worker_is_where_prometheus_looks() -> None:
    worker = SERVICES["worker"]["environment"]
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in config["scrape_configs"] for t in job["static_configs"][0]["targets"]]
    assert targets == [f"worker:{worker['CC_METRICS_PORT']}"]


def test_kafka_is_the_local_one() -> None:
    kafka = SERVICES["kafka"]
    assert kafka["image"] == f"apache/kafka:{kafka_version()}"
    local = server_settings(Path(), 1, 2)
    same = {
        name: value
        for name, value in local.items()
        if "replication" in name or name.endswith(("min.isr", "interval.ms", "delay.ms", "enable"))
    }
    for name, value in same.items():
        key = "KAFKA_" + name.replace(".", "_").upper()
        if name != "broker.heartbeat.interval.ms":
            assert kafka["environment"][key] == value


def test_the_image_runs_without_root_and_holds_what_is_copied() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*$", text, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    allowed = (REPOSITORY / ".dockerignore").read_text()
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists()
        assert f"!{name}\n" in allowed

"""Every query of every dashboard and rule, on a real Prometheus that scrapes a real worker."""

import json
import math
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cc_stream.errors import MissingToolError
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.ports import LOOPBACK
from cc_stream.local.process import Server
from cc_stream.local.redis import RedisServer
from tests.broker.demo_process import DemoProcess
from tests.deploy.monitoring import DASHBOARDS, DEPLOY, queries
from tests.waiting import wait_for

FILLED_SECONDS = 90.0
FLOOR = ["--seats", "60", "--hours", "0.6"]


class Prometheus(Server):
    """Debian's Prometheus with our own configuration, scraping one worker every second."""

    name = "prometheus"
    start_seconds = 30.0

    def __init__(self, folder: Path, target: str) -> None:
        super().__init__(folder)
        self.target = target

    def prepare(self) -> Sequence[str]:
        """Copy the configuration, with another target and a shorter interval."""
        program = shutil.which("prometheus")
        if program is None:
            raise MissingToolError("no prometheus found: install the package")
        shutil.copy(DEPLOY / "prometheus" / "rules.yml", self.folder)
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"] = [{"targets": [self.target]}]
        path = self.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        address = f"--web.listen-address={LOOPBACK}:{self.port}"
        data = f"--storage.tsdb.path={self.folder / 'data'}"
        return [program, f"--config.file={path}", data, address]

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        url = f"http://{LOOPBACK}:{self.port}/{path}?{query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    def answers(self) -> bool:
        """Whether it is ready."""
        url = f"http://{LOOPBACK}:{self.port}/-/ready"
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)

    def values(self, query: str) -> list[float]:
        """The finite values of an instant query."""
        result = self.get("api/v1/query", query=query)["result"]
        found = [float(series["value"][1]) for series in result]
        return [value for value in found if math.isfinite(value)]


@pytest.fixture
def prometheus(tmp_path: Path, kafka: KafkaServer, own_redis: RedisServer) -> Iterator[Prometheus]:
    """A floor, a worker and the Prometheus that scrapes it."""
    servers = ["--broker", kafka.bootstrap, "--redis", own_redis.url]
    with DemoProcess(tmp_path, [*FLOOR, *servers]) as demo:
        url = demo.said(r"metrics at http://(\S+)/metrics")
        demo.said("live; Ctrl-C ends it")
        with Prometheus(tmp_path / "prometheus", url[1]) as server:
            yield server


def test_no_query_is_empty_and_no_rule_fails(prometheus: Prometheus) -> None:
    every = {query: panel for path in DASHBOARDS for panel, query in queries(path)}
    missing = dict(every)

    def filled() -> bool:
        for query in list(missing):
            if prometheus.values(query):
                del missing[query]
        return not missing

    try:
        wait_for(filled, FILLED_SECONDS)
    except AssertionError:
        pytest.fail(f"empty: {missing}")
    groups = prometheus.get("api/v1/rules")["groups"]
    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert set(health.values()) == {"ok"}, health

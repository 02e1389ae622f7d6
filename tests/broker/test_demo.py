"""`cc-stream demo` from its start to its proof, and how it stops."""

import re
import time
from pathlib import Path

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from tests.broker.demo_process import DemoProcess

STOP_SECONDS = 10.0
SMALL = ["--seats", "40", "--hours", "0.5", "--timezone", "Europe/Berlin"]


def test_live_equals_the_report_on_its_own_servers(tmp_path: Path, downloads: Path) -> None:
    (tmp_path / "downloads").symlink_to(downloads)
    with DemoProcess(tmp_path, [*SMALL, "--seconds", "5"]) as demo:
        code = demo.wait()
    text = demo.log.read_text()
    total = re.search(r"live = report: (\d+) values compared, 0 differ", text)
    assert total, text
    assert code == 0
    kinds = dict(re.findall(r"^  (\w+): (\d+) compared, 0 differ$", text, re.MULTILINE))
    assert kinds.keys() >= {"windows", "live", "contacts"}
    assert all(int(n) > 0 for n in kinds.values())
    assert sum(map(int, kinds.values())) == int(total[1])


def test_two_workers_on_servers_of_ones_own(
    tmp_path: Path, kafka: KafkaServer, own_redis: RedisServer
) -> None:
    servers = ["--broker", kafka.bootstrap, "--redis", own_redis.url]
    with DemoProcess(tmp_path, [*SMALL, *servers, "--workers", "2", "--seconds", "3"]) as demo:
        code = demo.wait()
    text = demo.log.read_text()
    assert "topics made under demo-" in text
    assert re.search(r"live = report: \d+ values compared, 0 differ", text), text
    assert code == 0


def test_ctrl_c_stops_everything(tmp_path: Path, downloads: Path) -> None:
    (tmp_path / "downloads").symlink_to(downloads)
    with DemoProcess(tmp_path, SMALL) as demo:
        demo.said("live; Ctrl-C ends it")
        children = children_of(demo.process.pid)
        assert len(children) == 3, "Kafka, Redis and a worker"
        started = time.monotonic()
        demo.interrupt()
        assert demo.wait(STOP_SECONDS) == 130
        assert time.monotonic() - started < STOP_SECONDS
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in demo.log.read_text()


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    folders = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in folders for child in (task / "children").read_text().split()]

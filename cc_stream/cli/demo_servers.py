"""The processes of a demo: Kafka, Redis and workers, each stopped when its context ends."""

import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from cc_stream.cli.options import export
from cc_stream.cli.worker import worker_command
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.kafka_libs import Progress
from cc_stream.local.ports import LOOPBACK, free_port, in_use
from cc_stream.local.process import Server, last_lines
from cc_stream.local.redis import RedisServer

ANSWER_SECONDS: Final = 1.0
STOP_SECONDS: Final = 4.0
"""Workers and then servers may take so long each: Ctrl-C ends a demo within 10 s."""
KAFKA_PORT: Final = 9092
REDIS_PORT: Final = 6379
METRICS_PORT: Final = 9464


class WorkerProcess(Server):
    """A worker on this machine; it answers when its `/metrics` does.

    Its settings are in the environment (`options.export`), its port is that of `/metrics`.
    """

    name = "worker"
    start_seconds = 60.0

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)

    @property
    def url(self) -> str:
        """Where its metrics are."""
        return f"http://{LOOPBACK}:{self.port}/metrics"

    def prepare(self) -> Sequence[str]:
        """The command line; hands the port over."""
        export({"metrics_host": LOOPBACK, "metrics_port": self.port})
        return worker_command()

    def answers(self) -> bool:
        """Whether its metrics can be read.

        Raises:
            OSError: they cannot.
        """
        with urllib.request.urlopen(self.url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            status: int = answer.status
        return status == 200  # noqa: PLR2004 - OK

    def why_ended(self) -> str:
        """The last lines that it printed."""
        return f"the worker ended; its last lines were:\n{last_lines(self.log_path)}"


class Addresses(Struct, frozen=True):
    """Where Kafka and Redis are. `is_shared`: one of them is the user's and may hold other data."""

    broker: str
    redis: str
    is_shared: bool


def usual_or_free(port: int) -> int:
    """The usual port where it is not taken, else any free one."""
    return free_port() if in_use(port) else port


@contextmanager
def kafka_and_redis(
    folder: Path, downloads: Path, broker: str | None, redis: str | None, progress: Progress
) -> Iterator[Addresses]:
    """Start what the user has not given an address of. `progress` hears of a fetch of Kafka.

    Raises:
        MissingToolError: no Java, no Maven or no Redis server on this machine.
        LocalServerError: a server did not start.
    """
    servers: list[Server] = []
    is_shared = not (broker is None and redis is None)
    try:
        if redis is None:
            own_redis = RedisServer(folder / "redis", usual_or_free(REDIS_PORT))
            servers.append(own_redis)
            own_redis.start()
            redis = own_redis.url
        if broker is None:
            port = usual_or_free(KAFKA_PORT)
            own_kafka = KafkaServer(folder / "kafka", downloads, port, progress)
            servers.append(own_kafka)
            own_kafka.start()
            broker = own_kafka.bootstrap
        yield Addresses(broker, redis, is_shared)
    finally:
        stop_all(servers)


@contextmanager
def workers(folder: Path, count: int) -> Iterator[list[WorkerProcess]]:
    """Start workers, one after the other; their settings are in the environment.

    Raises:
        LocalServerError: one did not start.
    """
    started: list[WorkerProcess] = []
    try:
        for number in range(1, count + 1):
            port = usual_or_free(METRICS_PORT - 1 + number)
            worker = WorkerProcess(folder / f"worker-{number}", port)
            started.append(worker)
            worker.start()
        yield started
    finally:
        stop_all(started)


def stop_all(servers: Sequence[Server]) -> None:
    """Stop them at the same time; by force what does not end soon."""
    if not servers:
        return
    with ThreadPoolExecutor(len(servers)) as pool:
        stopping = {pool.submit(server.stop): server for server in servers}
        late = wait(stopping, STOP_SECONDS).not_done
        for future in late:
            stopping[future].kill()
        for future in stopping:
            future.result()

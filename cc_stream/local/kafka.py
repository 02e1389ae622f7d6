"""Apache Kafka itself on loopback: one broker that is its own controller (KRaft), one JVM."""

import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cc_stream.local.kafka_libs import Progress, java_program, kafka_libs, no_progress
from cc_stream.local.ports import LOOPBACK, free_port
from cc_stream.local.process import LocalServerError, Server, last_lines

LOG_SETTINGS = Path(__file__).with_name("kafka-log4j2.properties")
JVM_OPTIONS = ("-Xmx1g", "-XX:+UseSerialGC")
ANSWER_SECONDS = 2.0
CLUSTER_ID = "Y2Nfc3RyZWFtX2xvY2FsXw"  # base64 of 16 bytes: cc_stream_local_
METADATA_V1_NO_TOPICS = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
"""Metadata request, version 1: correlation 1, no client id, an empty list of topics."""


def metadata_brokers(connection: socket.socket) -> int:
    """Ask a broker for its metadata and return how many brokers take requests.

    A broker that still starts accepts connections and answers with none.

    Raises:
        OSError: the connection was closed or timed out.
    """
    request = METADATA_V1_NO_TOPICS
    connection.sendall(struct.pack(">i", len(request)) + request)
    with connection.makefile("rb") as stream:
        answer = stream.read(12)  # length, correlation, number of brokers
    if len(answer) < struct.calcsize(">iii"):
        raise ConnectionError("closed while it answered")
    brokers: int = struct.unpack(">iii", answer)[2]
    return brokers


def server_settings(folder: Path, port: int, controller_port: int) -> dict[str, str]:
    """The broker's ``server.properties``: loopback only, one replica, quick to start and join."""
    return {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # A group is complete when its first member has joined: nobody waits for a second one.
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker may come back only when its last session is over (9 s by default).
        "broker.session.timeout.ms": "3000",
        # Workers under test may be given short sessions, so that a killed one is missed soon.
        "group.min.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "500",
        # A dead owner's transaction holds back its readers: look for such every second.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    }


class KafkaServer(Server):
    """One broker on 127.0.0.1; its topics outlive a stop, a kill and a restart.

    Starts in 3 to 4 s, after a kill in 5 to 7 s, and takes about 400 MB of memory.
    """

    name = "kafka"
    start_seconds = 60.0

    def __init__(
        self,
        folder: Path,
        downloads: Path,
        port: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Describe the broker; the jars are looked for in ``downloads`` and fetched at the start.

        ``progress`` hears of a fetch, if there has to be one.
        """
        super().__init__(folder, port)
        self._controller_port = free_port()
        self._downloads = downloads
        self._progress = progress

    @property
    def bootstrap(self) -> str:
        """Its address for clients: ``127.0.0.1:PORT``."""
        return f"{LOOPBACK}:{self.port}"

    def settings(self) -> dict[str, str]:
        """Its ``server.properties``."""
        return server_settings(self.folder, self.port, self._controller_port)

    def prepare(self) -> Sequence[str]:
        """Fetch the jars and format the data folder where that was not done; return the command.

        Raises:
            MissingToolError: no Java 17 or newer, or no Maven and the jars are not there.
            LocalServerError: the jars could not be fetched, or the folder not be formatted.
        """
        java = java_program()
        libs = kafka_libs(self._downloads, self._progress)
        properties = self.folder / "server.properties"
        settings = "".join(f"{name}={value}\n" for name, value in self.settings().items())
        properties.write_text(settings)
        command = [java, *JVM_OPTIONS, f"-Dlog4j2.configurationFile={LOG_SETTINGS}", "-cp"]
        command.append(f"{libs}/*")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format([*command, "kafka.tools.StorageTool"], properties)
        return [*command, "kafka.Kafka", str(properties)]

    def answers(self) -> bool:
        """Whether it is in its own metadata, so that topics can be made and records be sent.

        Raises:
            OSError: it cannot be reached or does not answer within 2 s.
        """
        with socket.create_connection((LOOPBACK, self.port), ANSWER_SECONDS) as connection:
            return metadata_brokers(connection) > 0

    def _format(self, storage_tool: list[str], properties: Path) -> None:
        options = ["format", "--cluster-id", CLUSTER_ID, "--config", str(properties)]
        with self.log_path.open("ab") as log:
            done = subprocess.run([*storage_tool, *options], stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            message = "the data folder of kafka could not be formatted:\n"
            raise LocalServerError(message + last_lines(self.log_path))

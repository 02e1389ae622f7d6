"""One request to a page on this machine."""

import http.client
from typing import NamedTuple

from cc_stream.local.ports import LOOPBACK


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: str


def asked(port: int, path: str) -> Answer:
    """What is answered to a GET."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())
    finally:
        connection.close()

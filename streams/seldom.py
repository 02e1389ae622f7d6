"""Keeps a log readable: while Kafka is away, aiokafka says the same hundreds of times a second."""

import logging
import time
from typing import Final

APART_SECONDS: Final = 10.0
KEPT: Final = 100
"""So many different lines are remembered."""


class Seldom(logging.Filter):
    """Lets the same line through once in ten seconds. For a logger; it knows nothing of others."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        line, now = record.getMessage(), time.monotonic()
        if now - self._said.get(line, -APART_SECONDS) < APART_SECONDS:
            return False
        if len(self._said) >= KEPT:
            self._said.clear()
        self._said[line] = now
        return True

"""Waiting for a condition: what tests do in place of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02

Answer = TypeVar("Answer")


def wait_for(condition: Callable[[], Answer], deadline_seconds: float) -> Answer:
    """Call ``condition`` until it returns something true, and return that.

    An exception of the condition is not caught. Do not use it inside an event loop: it blocks.

    Raises:
        AssertionError: the deadline passed; the text holds the last answer.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            message = f"still {answer!r} after {deadline_seconds} s"
            raise AssertionError(message)
        time.sleep(POLL_SECONDS)

"""Waiting for a condition: what tests do in place of sleeping."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02
LOOP_POLL_SECONDS = 0.05

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


async def until(condition: Callable[[], Answer], what: str, deadline_seconds: float) -> Answer:
    """The same inside an event loop: ``condition`` is called in a thread and may block.

    Raises:
        AssertionError: the deadline passed; the text says `what` was waited for.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        answer = await asyncio.to_thread(condition)
        if answer:
            return answer
        if time.monotonic() >= end:
            message = f"not in {deadline_seconds:.0f} s: {what} (last answer: {answer!r})"
            raise AssertionError(message)
        await asyncio.sleep(LOOP_POLL_SECONDS)

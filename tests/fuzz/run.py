"""A run of inputs against one target: exceptions, time and memory."""

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from tests.fuzz.targets import Target

MOST_NS = 10_000_000
"""CPU time of one call of a parser."""
TRIES = 10
"""The least time counts: the collector, a first use or a busy machine may slow any one call down.
What is slow by itself is slow every time."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MORE_OBJECTS = 20_000
"""So many more may be there after the last tenth than after the second: a cache that fills. With
one that leaks an input there would be far more in a long run."""
MORE_BYTES = 16 << 20
"""So much more memory may the process have."""


class FailedError(AssertionError):
    """An input for which something does not hold; the text names it."""


class Ran(Struct, frozen=True):
    """What came of a run."""

    inputs: int
    parsed: int
    """For so many the parser did not raise its own error."""
    slowest_ns: int
    objects: int
    """How many more there are after the last tenth than after the second."""
    resident_bytes: int
    """The same of the memory of the process."""


def run(target: Target, name: str, seed: int, inputs: int, told: Callable[[int], None]) -> Ran:
    """Run so many inputs of a seed.

    Raises:
        FailedError: the first input with another exception, too slow, or of which something does
            not hold; or memory that grows.
    """
    rng = Random(seed)
    parsed = slowest = 0
    early = (0, 0)
    tenth = max(1, inputs // 10)
    for number in range(1, inputs + 1):
        given = target.draw(rng)
        where = f"{name}, seed {seed}, input {number}"
        ok, took = attempt(target, given, where)
        if took > MOST_NS:
            took = least(target, given, where)
        parsed += ok
        slowest = max(slowest, took)
        if number == min(2 * tenth, inputs):
            early = memory()
        if number % 256 == 0 or number == inputs:
            told(number)
    objects, resident = (now - then for now, then in zip(memory(), early, strict=True))
    target.close()
    if objects > MORE_OBJECTS or resident > MORE_BYTES:
        text = f"{objects} objects and {resident} bytes more than after the second tenth"
        raise FailedError(f"{name}, seed {seed}: {text}")
    return Ran(inputs, parsed, slowest, objects, resident)


def attempt(target: Target, given: Any, where: str) -> tuple[bool, int]:
    """Parse and look; whether it was parsed, and the CPU time in nanoseconds."""
    try:
        took, found, error = _timed(target, given)
        if error is None:
            target.hold(given, found)
    except Exception as failure:
        raise FailedError(f"{where}: {failure!r} for {_shown(given)}") from failure
    return error is None, took


def least(target: Target, given: Any, where: str) -> int:
    """The least CPU time of several calls, in nanoseconds.

    Raises:
        FailedError: it is longer than any input may take.
    """
    took = min(_timed(target, given)[0] for _ in range(TRIES))
    if took > MOST_NS:
        raise FailedError(f"{where}: took {took / 1e6:.1f} ms for {_shown(given)}")
    return took


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) < 3_000 else f"{text[:1_500]} … {text[-1_500:]}"


def _timed(target: Target, given: Any) -> tuple[int, Any, Exception | None]:
    begun = time.thread_time_ns()
    found, error = None, None
    try:
        found = target.parse(given)
    except target.errors as failure:
        error = failure
    return time.thread_time_ns() - begun, found, error


def memory() -> tuple[int, int]:
    """How many objects there are, and how many bytes of memory this process has."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or the allocator keeps what one large input has needed
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return sys.getallocatedblocks(), pages * PAGE_BYTES

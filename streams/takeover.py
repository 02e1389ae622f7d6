"""How long each step took from the loss of an owner until a shard's first new output."""

import time
from collections.abc import Mapping


class Takeover:
    """Steps of one shard, in their order; before them a dead member's session has to expire."""

    def __init__(self, join_seconds: float) -> None:
        self.steps: dict[str, float] = {"join": join_seconds}
        self._last = time.monotonic()
        self._live_ms = 0
        self._upto: int | None = None

    def begin(self) -> None:
        """What follows is the next step: it did wait for others until now."""
        self._last = time.monotonic()

    def end(self, step: str) -> None:
        """This step is over, and the next one begins."""
        now = time.monotonic()
        self.steps[step] = now - self._last
        self._last = now

    def is_live(self, upto: int) -> None:
        """The shard counts; records before `upto` wait for it."""
        self._upto = upto
        self._live_ms = time.time_ns() // 1_000_000
        self.steps["replay"] = 0.0

    def applied(self, timestamp_ms: int) -> None:
        """A record was applied that the broker had at this time."""
        if self._upto is not None and timestamp_ms < self._live_ms:
            self.steps["replay"] = time.monotonic() - self._last

    def committed(self, following: int) -> Mapping[str, float] | None:
        """All steps, once: after the first commit of everything that had waited."""
        if self._upto is None or following < self._upto:
            return None
        self._upto = None
        return self.steps

"""How often a thing went wrong lately: what bounds every retry."""

import time
from collections.abc import Hashable
from typing import Final

FORGIVEN_SECONDS: Final = 900.0


class Strikes:
    """Counts in rows: a quiet quarter of an hour, or a success, begins a new row."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, tuple[int, float]] = {}

    def again(self, key: Hashable) -> int:
        """It went wrong once more; how many times in this row."""
        now = time.monotonic()
        count, last = self._rows.get(key, (0, now))
        count = 1 if now - last > FORGIVEN_SECONDS else count + 1
        self._rows[key] = count, now
        return count

    def forgive(self, key: Hashable) -> None:
        """It went well."""
        self._rows.pop(key, None)

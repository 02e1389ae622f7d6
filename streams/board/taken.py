"""Items that are made as they are taken, of something that may change before the last one is."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Taken(Generic[Item]):
    """An iterator over what `making` gives; `settle` before that would give something else."""

    __slots__ = ("_made", "_making")

    def __init__(self, making: Iterator[Item]) -> None:
        self._making = making
        self._made: deque[Item] = deque()

    def __iter__(self) -> Iterator[Item]:
        """See `__next__`."""
        return self

    def __next__(self) -> Item:
        """The next one: made before, or now."""
        return self._made.popleft() if self._made else next(self._making)

    def settle(self) -> None:
        """Make all that is left."""
        self._made.extend(self._making)

"""The heap in huge pages. Linux only; elsewhere nothing is done.

An event touches an agent or a contact that nobody has touched for seconds: of hundreds of megabytes
of small objects it needs a few dozen, each in another page of 4 KiB. Where each of these is, the
processor has forgotten, and has to look up (docs/decisions/0016).

Python's arenas are of 1 MiB, too small for Linux to make them huge by itself. Here a thread asks
for it (MADV_COLLAPSE, madvise(2), Linux 6.1), one at a time. An administrator's `never` is heeded.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

LEAST_BYTES: Final = 4 << 20
"""Smaller areas of memory are left alone."""
LOOK_SECONDS: Final = 1.0
REST_SECONDS: Final = 0.02
"""Between two pages: to move one takes some milliseconds of the other core."""

_KERNEL: Final = Path("/sys/kernel/mm/transparent_hugepage")
_MAPS: Final = Path("/proc/self/maps")
_MADV_COLLAPSE: Final = 25

Collapse = Callable[[int, int], bool]


def keep_in_huge_pages() -> None:
    """Move what the heap has and gets into huge pages, for ever, where that can be done."""
    with suppress(OSError):
        if "[never]" not in (_KERNEL / "enabled").read_text():
            page = int((_KERNEL / "hpage_pmd_size").read_text())
            keeper = Keeper(page, _collapse())
            threading.Thread(target=keeper.keep, name="huge pages", daemon=True).start()


class Keeper:
    """Knows which pages are huge. `collapse(at, bytes)` makes one so; whether it could."""

    def __init__(self, page: int, collapse: Collapse) -> None:
        """`page`: bytes of a huge page."""
        self.page = page
        self.collapse = collapse
        self._huge: set[int] = set()

    def keep(self) -> None:
        """Look for new ones for ever."""
        while True:
            for _ in self.look(_MAPS.read_text().splitlines()):
                time.sleep(REST_SECONDS)
            time.sleep(LOOK_SECONDS)

    def look(self, maps: Iterable[str]) -> Iterator[int]:
        """Make what is not huge yet huge; gives each that was made so. `maps`: see proc(5)."""
        pages = set(whole_pages(maps, self.page))
        self._huge &= pages
        for at in sorted(pages - self._huge):
            if self.collapse(at, self.page):
                self._huge.add(at)
                yield at


def whole_pages(maps: Iterable[str], page: int) -> Iterator[int]:
    """Where the huge pages that fit into the heap begin."""
    for line in maps:
        span, rights, _, _, inode, *path = line.split(maxsplit=5)
        begin, end = (int(edge, 16) for edge in span.split("-"))
        is_heap = inode == "0" and (not path or path[0].strip() == "[heap]")
        if is_heap and rights == "rw-p" and end - begin >= LEAST_BYTES:
            first = -(-begin // page) * page
            yield from range(first, end - page + 1, page)


def _collapse() -> Collapse:
    madvise = ctypes.CDLL(None).madvise  # the interpreter serves others while it works
    madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

    def collapse(at: int, length: int) -> bool:
        return bool(madvise(at, length, _MADV_COLLAPSE) == 0)

    return collapse

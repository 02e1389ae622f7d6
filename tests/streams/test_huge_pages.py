"""The heap lies in huge pages, where the system can."""

import platform
import re
import subprocess
import sys
from pathlib import Path

from streams.huge_pages import LEAST_BYTES, Keeper, whole_pages

PAGE = 2 << 20
MAPS = """\
00400000-0041f000 r--p 00000000 fe:00 247702                             /usr/bin/python3.11
01f00000-02f00000 rw-p 00000000 00:00 0                                  [heap]
7f0000100000-7f0000a00000 rw-p 00000000 00:00 0
7f0000c00000-7f0000e00000 rw-p 00000000 00:00 0
7f0001000000-7f0002000000 r-xp 00000000 00:00 0
7f0003000000-7f0004000000 rw-p 00000000 fe:00 4711                       /tmp/a file
7f0005000000-7f0006000000 rw-p 00000000 00:00 0                          [stack]
""".splitlines()


def test_huge_pages_lie_within_large_writable_memory_without_a_file() -> None:
    heap = range(0x02000000, 0x02E00000, PAGE)
    arenas = range(0x7F0000200000, 0x7F0000A00000, PAGE)
    assert list(whole_pages(MAPS, PAGE)) == [*heap, *arenas]


def test_each_page_is_moved_once_and_what_could_not_be_is_tried_again() -> None:
    asked: list[int] = []
    full = {0x7F0000400000}

    def collapse(at: int, length: int) -> bool:
        assert length == PAGE
        asked.append(at)
        return at not in full

    keeper = Keeper(PAGE, collapse)
    pages = list(whole_pages(MAPS, PAGE))
    assert list(keeper.look(MAPS)) == [at for at in pages if at not in full]
    assert asked == pages
    asked.clear()
    full.clear()
    assert list(keeper.look(MAPS)) == asked == [0x7F0000400000]
    assert not list(keeper.look(MAPS[:2])), "the arenas are gone"
    assert list(keeper.look(MAPS)) == pages[7:], "and what is there now is new"


WANTED_KIB = 2 * LEAST_BYTES >> 10
PROGRAM = f"""
import mmap, time
from streams.huge_pages import keep_in_huge_pages
area = mmap.mmap(-1, {4 * LEAST_BYTES}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.write(b"x" * len(area))
keep_in_huge_pages()
huge, until = 0, time.monotonic() + 15
while huge < {WANTED_KIB} and time.monotonic() < until:
    time.sleep(0.1)
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    (huge,) = [int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")]
assert area[:] == b"x" * len(area)
print(huge)
"""


def is_offered() -> bool:
    """Whether the kernel makes pages huge when asked to."""
    release = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    offered = enabled.exists() and "[never]" not in enabled.read_text()
    return platform.system() == "Linux" and release >= (6, 1) and offered


def test_memory_becomes_huge_and_holds_what_it_held() -> None:
    program = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    assert int(run.stdout) >= (WANTED_KIB if is_offered() else 0)

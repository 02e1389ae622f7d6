"""What the process that counts asks of Python, and of the system below it."""

import gc
import sys

from streams.huge_pages import keep_in_huge_pages


def tune_interpreter() -> None:
    """What a process that counts sets of Python's; the bench sets the same.

    Batches of events are many small objects that live shortly: the garbage collector looks at them
    less often than by default, and in its second generation at 20,000 at once, some 15 ms (a
    million held the loop for 250 ms). A page that is rendered in its thread gives the loop its turn
    sooner. And its heap lies in huge pages.
    """
    gc.set_threshold(5_000, 4, 250)
    sys.setswitchinterval(0.0005)
    keep_in_huge_pages()

"""What the process that counts asks of Python."""

import gc
import sys


def tune_interpreter() -> None:
    """What a process that counts sets of Python's; the bench sets the same.

    Batches of events are many small objects that live shortly: the garbage collector looks at them
    less often than by default, and in its second generation at 20,000 at once, some 15 ms (a
    million held the loop for 250 ms). A page that is rendered in its thread gives the loop its turn
    sooner.
    """
    gc.set_threshold(5_000, 4, 250)
    sys.setswitchinterval(0.0005)

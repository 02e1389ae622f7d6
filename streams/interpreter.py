"""What the process that counts asks of Python."""

import gc
import sys


def tune_interpreter() -> None:
    """What a process that counts sets of Python's; the bench sets the same.

    Batches of events are many small objects that live shortly: the garbage collector looks at them
    less often than by default, and not at so many at once that it holds the loop for long
    (measured: 0.9 µs each). A page that is rendered in its thread gives the loop its turn sooner.
    """
    gc.set_threshold(5_000, 10, 100)
    sys.setswitchinterval(0.0005)

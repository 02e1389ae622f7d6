"""`make fuzz`: a million inputs over all parsers, from one seed; it ends with the first failure."""

import argparse
import sys
import time
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from tests.fuzz.run import FailedError, Ran, run
from tests.fuzz.targets import TARGETS, inputs_of

INPUTS = 1_000_000
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


def main() -> int:
    """Run all targets; 0 if everything held."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000 % (1 << 32))
    given = parser.parse_args()
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"fuzz: seed={given.seed} inputs={given.inputs}")
    ran: list[Ran] = []
    with Progress(*COLUMNS, console=out, disable=not out.is_terminal) as bar:
        for name, count in inputs_of(given.inputs).items():
            told = partial(_told, bar, bar.add_task(name, total=count))
            try:
                ran.append(run(TARGETS[name](), name, given.seed, count, told))
            except FailedError as failure:
                out.print(str(failure), markup=False)
                out.print(f"fuzz: seed={given.seed} failed")
                return 1
            out.print(_line(name, ran[-1]))
    slowest = max(one.slowest_ns for one in ran) / 1e6
    total = sum(one.inputs for one in ran)
    out.print(f"fuzz: seed={given.seed} inputs={total} failures=0 slowest={slowest:.2f} ms")
    return 0


def _told(bar: Progress, task: TaskID, done: int) -> None:
    """Move the bar; where there is none, say each tenth."""
    tenths = int(bar.tasks[task].percentage) // 10
    bar.update(task, completed=done)
    shown = bar.tasks[task]
    if bar.disable and int(shown.percentage) // 10 > tenths:
        bar.console.print(f"{shown.description}: {done:,} of {shown.total:,.0f}")


def _line(name: str, ran: Ran) -> str:
    return (
        f"{name}: {ran.inputs:,} inputs, {ran.parsed:,} parsed, slowest {ran.slowest_ns / 1e6:.2f}"
        f" ms, {ran.objects:+,} objects and {ran.resident_bytes / (1 << 20):+.1f} MiB"
    )


if __name__ == "__main__":
    sys.exit(main())

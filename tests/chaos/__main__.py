"""`make chaos SEED=n FAULTS=m [WORKERS=w]`: faults on a real Kafka and Redis, and the proof."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from cc_stream.errors import CcStreamError
from cc_stream.local.folder import DEFAULT_ROOT, downloads_folder
from tests.chaos.faults import BY_NAME, FAULTS
from tests.chaos.run import (
    DIFFERENCES,
    SCHEDULE,
    Outcome,
    Screen,
    drop_data,
    keep_differences,
    prepare,
    run,
)
from tests.chaos.schedule import schedule

DESCRIPTION: Final = """Inflict faults, drawn from a seed, on workers, broker, network, Redis and
feed, and hold every value that is live or stored against the batch report. Exit code 0: nothing is
wrong, lost or duplicated; 1: something is; 2: the run could not be ended."""
FIRST_SHOWN: Final = 10
LOG: Final = "run.log"

log: Final = logging.getLogger("chaos")


def main() -> int:
    """Run; the exit code."""
    asked = _parser().parse_args()
    kinds = asked.only or list(BY_NAME)
    steps = schedule(asked.seed, asked.faults, kinds)
    name = f"seed-{asked.seed}-faults-{asked.faults}-workers-{asked.workers}"
    folder = (asked.folder / name).resolve()
    console = Console(highlight=False, soft_wrap=True)
    prepare(folder, steps)
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(filename=folder / LOG, level=logging.INFO, format=form)
    try:
        with console.status("") as status:

            def doing(text: str) -> None:
                log.info(text)
                status.update(text)

            screen = Screen(console.print, doing)
            work = run(asked.seed, steps, asked.workers, folder, downloads_folder(), screen)
            outcome = asyncio.run(work)
    except (AssertionError, CcStreamError) as error:
        console.print(f"the run could not be ended: {error}\nlogs and schedule: {folder}")
        return 2
    _tell(console, outcome, folder)
    console.print(outcome.closing_line(asked.seed))
    return 0 if outcome.proof.is_proof else 1


def _tell(console: Console, outcome: Outcome, folder: Path) -> None:
    """The lines before the last one; the folder is kept where something differs."""
    proof = outcome.proof
    ends = ", ".join(f"{end} {n}" for end, n in sorted(outcome.ends.items()))
    console.print(f"workers ended: {ends}")
    console.print("compared: " + ", ".join(f"{what} {n}" for what, n in proof.compared.items()))
    if proof.is_proof:
        drop_data(folder)
        return
    keep_differences(folder, proof)
    for one in [*proof.wrong, *proof.lost, *proof.duplicated][:FIRST_SHOWN]:
        console.print(f"  {one}")
    console.print(f"logs, {SCHEDULE} and {DIFFERENCES}: {folder}")


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(f"  {fault.name:20} {fault.help}" for fault in FAULTS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=DESCRIPTION,
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the schedule and the load (1)")
    parser.add_argument("--faults", type=int, default=10, help="how many (10)")
    parser.add_argument("--workers", type=int, default=2, help="how many (2)")
    parser.add_argument(
        "--only", action="append", choices=list(BY_NAME), metavar="KIND",
        help="draw from these kinds alone; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_ROOT / "chaos",
        help="where a run keeps its logs (.data/chaos)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""One run: servers, workers, load, the faults of a seed, and the proof."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from tests.chaos.faults import BY_NAME, World
from tests.chaos.floor import Floor
from tests.chaos.load import Load
from tests.chaos.proof import Proof, prove
from tests.chaos.schedule import Step
from tests.chaos.servers import servers

SEATS: Final = 200
LOAD_SECONDS: Final = 20.0
"""More than a fault takes on average: the load is spread over so much for each, and does not end
before the last."""
SCHEDULE: Final = "schedule.json"
DIFFERENCES: Final = "differences.txt"
SHOWN: Final = 200


class Outcome(Struct, frozen=True):
    """How a run ended. `ends`: how many workers ended how. `seconds`: what each fault took."""

    proof: Proof
    ends: Counter[str]
    seconds: list[tuple[str, float]]

    def closing_line(self, seed: int) -> str:
        """The last line of a run."""
        proof = self.proof
        return (
            f"chaos: seed={seed} faults={len(self.seconds)} events={proof.events} "
            f"values={proof.values} wrong={len(proof.wrong)} lost={len(proof.lost)} "
            f"duplicated={len(proof.duplicated)}"
        )


class Screen(Struct, frozen=True):
    """Where a run is told of: `say` a line that stays, `doing` what is going on now."""

    say: Callable[[str], None]
    doing: Callable[[str], None]


def prepare(folder: Path, steps: Sequence[Step]) -> None:
    """Empty the folder of a run and put its schedule there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / SCHEDULE).write_bytes(msgspec.json.format(msgspec.json.encode(steps)))


def drop_data(folder: Path) -> None:
    """Delete what the servers of a run stored; its logs stay."""
    shutil.rmtree(folder / "kafka", ignore_errors=True)


def keep_differences(folder: Path, proof: Proof) -> None:
    """Put the first values that differ into the folder of a run."""
    differ = [*proof.wrong, *proof.lost, *proof.duplicated]
    (folder / DIFFERENCES).write_text("".join(f"{one}\n" for one in differ[:SHOWN]))


async def run(
    seed: int, steps: Sequence[Step], workers: int, folder: Path, downloads: Path, screen: Screen
) -> Outcome:
    """Inflict the steps and compare everything; logs and data of the servers go to `folder`.

    Raises:
        AssertionError: something did not come about that has to; says what.
        CcStreamError: a server did not start, or the line did not come to rest.
    """
    screen.doing("servers start")
    with servers(folder, downloads) as harmed:
        kafka = harmed.kafka
        floor = Floor("chaos", folder, kafka.bootstrap, harmed.redis.url, kafka.proxied)
        load = Load(floor, SEATS, seed, len(steps) * LOAD_SECONDS)
        world = World(floor, harmed, load, {})
        try:
            await floor.open()
            for _ in range(workers):
                floor.add_worker()
            floor.supervise()
            await load.start()
            await floor.settled()
            seconds = [(step.fault, await _inflict(world, step, screen)) for step in steps]
            written = await load.finish()
            screen.say(f"{written} events were written")
            screen.doing("everything is compared")
            await floor.settled()
            proof = await prove(floor, world.promised)
        finally:
            floor.close()
    return Outcome(proof, floor.how_they_ended(), seconds)


async def _inflict(world: World, step: Step, screen: Screen) -> float:
    """One step, until the workers own every shard again; how long it took."""
    screen.doing(f"{step.number} {step.fault}")
    await world.load.more(step.after_events)
    started = time.monotonic()
    try:
        await BY_NAME[step.fault].inflict(world, Random(step.seed))
        await world.floor.settled()
    except AssertionError as error:
        raise AssertionError(f"fault {step.number}, {step.fault}: {error}") from error
    spent = time.monotonic() - started
    screen.say(
        f"{step.number:3} {step.fault:20} {spent:5.1f} s, {world.load.written} events written"
    )
    return spent

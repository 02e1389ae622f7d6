"""Faults of fixed seeds and of the seed of the day, on real servers: every value is the report's.

A seed that fails here is replayed by the line that its test prints.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.chaos.faults import BY_NAME
from tests.chaos.run import Screen, keep_differences, prepare, run
from tests.chaos.schedule import THIRDS, schedule

FAULTS = 10
FIXED = {3: 1, 4: 2, 5: 3}
"""Seed → workers. Seeds of one group: together they have every kind of fault."""
DAY = int(datetime.now(UTC).strftime("%Y%m%d"))


def test_the_fixed_seeds_have_every_kind() -> None:
    assert len({seed // THIRDS for seed in FIXED}) == 1
    found = {step.fault for seed in FIXED for step in schedule(seed, FAULTS, list(BY_NAME))}
    assert found == set(BY_NAME)


@pytest.mark.parametrize(("seed", "workers"), [*FIXED.items(), (DAY, DAY % 3 + 1)])
def test_every_value_is_exact(seed: int, workers: int, tmp_path: Path, downloads: Path) -> None:
    steps = schedule(seed, FAULTS, list(BY_NAME))
    folder = tmp_path / "run"
    prepare(folder, steps)
    print(f"\nmake chaos SEED={seed} FAULTS={FAULTS} WORKERS={workers}\nlogs: {folder}")  # noqa: T201 - how to replay it
    outcome = asyncio.run(run(seed, steps, workers, folder, downloads, Screen(print, print)))
    keep_differences(folder, outcome.proof)
    assert outcome.proof.is_proof, outcome.closing_line(seed)

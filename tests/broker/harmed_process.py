"""A worker of `tests.broker.harmed`, as a process of a floor."""

import sys
from collections.abc import Sequence

from tests.broker.floor import Floor, Worker
from tests.conftest import REPOSITORY


class Harmed(Worker):
    """A worker in which something goes wrong; started, it is one of the floor's."""

    def __init__(self, floor: Floor, harm: str) -> None:
        super().__init__(floor.folder / harm, {**floor.environment, "PYTHONPATH": str(REPOSITORY)})
        self.harm = harm
        floor.workers.append(self)

    def prepare(self) -> Sequence[str]:
        super().prepare()
        return [sys.executable, "-m", "tests.broker.harmed", self.harm]

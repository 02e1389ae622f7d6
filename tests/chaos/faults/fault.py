"""What a fault is, and the world that it is inflicted on."""

from collections.abc import Awaitable, Callable
from random import Random

from msgspec import Struct

from tests.chaos.floor import Floor
from tests.chaos.letters import Letters
from tests.chaos.load import Load
from tests.chaos.servers import Servers


class World(Struct):
    """The installation under test, its servers and its load.

    `promised` are the dead letters that faults have added records for.
    """

    floor: Floor
    servers: Servers
    load: Load
    promised: Letters


class Fault(Struct, frozen=True):
    """One kind. `inflict` returns when what it did is over; the workers may still recover.

    It raises AssertionError where something did not come about that has to.
    """

    name: str
    help: str
    inflict: Callable[[World, Random], Awaitable[None]]

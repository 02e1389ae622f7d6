"""Faults of the broker and of the network before it."""

import asyncio
from random import Random
from typing import Final

from tests.chaos.faults.fault import Fault, World

PAUSED_SECONDS: Final = (5.0, 20.0)
DOWN_SECONDS: Final = (0.0, 2.0)
CUT_SECONDS: Final = (1.0, 6.0)
SLOW_SECONDS: Final = 5.0
ONE_WAY_SECONDS: Final = 0.3
"""In each direction: a round trip takes 600 ms."""


async def kill(world: World, random: Random) -> None:
    """SIGKILL of the broker, and a start on what lies on its disk."""
    kafka = world.servers.kafka
    await asyncio.to_thread(kafka.kill)
    await asyncio.sleep(random.uniform(*DOWN_SECONDS))
    await asyncio.to_thread(kafka.start)


async def pause(world: World, random: Random) -> None:
    """SIGSTOP of the broker: connections stay open, nothing answers."""
    world.servers.kafka.pause()
    try:
        await asyncio.sleep(random.uniform(*PAUSED_SECONDS))
    finally:
        world.servers.kafka.resume()


async def cut(world: World, random: Random) -> None:
    """The network between workers and broker is gone: silent, or with every connection reset."""
    world.servers.network(random.choice(("hold", "refuse")))
    await asyncio.sleep(random.uniform(*CUT_SECONDS))
    world.servers.network("restore")


async def slow(world: World, _random: Random) -> None:
    """A round trip between workers and broker takes 600 ms."""
    world.servers.network(f"slow {ONE_WAY_SECONDS}")
    await asyncio.sleep(SLOW_SECONDS)
    world.servers.network("restore")


FAULTS: Final = (
    Fault("broker_kill", "SIGKILL of the broker, and a start", kill),
    Fault("broker_pause", "SIGSTOP of the broker for 5 to 20 s", pause),
    Fault("network_cut", "no network between workers and broker for 1 to 6 s", cut),
    Fault("network_slow", "600 ms a round trip for 5 s", slow),
)

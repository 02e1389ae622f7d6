"""Faults of workers: ended, put to sleep, joined, left without a disk."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from signal import SIGCONT, SIGSTOP
from typing import Final

from tests.chaos.faults.fault import Fault, World
from tests.chaos.floor import DEADLINE_SECONDS, SESSION_SECONDS
from tests.waiting import until

TRANSACTIONS: Final = 20
"""A worker ends itself in one of its next so many transactions."""
ASLEEP_SECONDS: Final = (1.5 * SESSION_SECONDS, 3 * SESSION_SECONDS)
EVENTS: Final = 100
SLOW: Final = "slow 0.05"


async def kill(world: World, random: Random) -> None:
    """SIGKILL from outside."""
    random.choice(world.floor.workers).kill()


def _end_itself(name: str, point: str) -> Callable[[World, Random], Awaitable[None]]:
    async def inflict(world: World, random: Random) -> None:
        worker = random.choice(world.floor.workers)
        starts, number = worker.starts, random.randint(1, TRANSACTIONS)
        worker.order(f"{name} {point} {number}")
        await until(lambda: worker.starts > starts, f"{name} {point}", DEADLINE_SECONDS)

    return inflict


async def terminate(world: World, random: Random) -> None:
    """SIGTERM with a transaction open: it ends in order all the same, and is started again."""
    worker = random.choice(world.floor.workers)
    before = worker.ends["code 0"]
    point = random.choice(("after_send", "after_acks"))
    starts = worker.starts
    worker.order(f"SIGTERM {point} {random.randint(1, TRANSACTIONS)}")
    await until(lambda: worker.starts > starts, "it has ended after SIGTERM", DEADLINE_SECONDS)
    assert worker.ends["code 0"] == before + 1, f"after SIGTERM: {worker.ends}"


async def sleep(world: World, random: Random) -> None:
    """SIGSTOP until its shards are others', or for longer than its session; then SIGCONT."""
    floor = world.floor
    sleeper = random.choice(floor.workers)
    sleeper.send(SIGSTOP)
    others = [worker for worker in floor.workers if worker is not sleeper]
    try:
        await asyncio.sleep(random.uniform(*ASLEEP_SECONDS))
        if others:
            await until(
                lambda: sum(worker.shards() for worker in others) == floor.shards,
                "the session of the sleeper is over",
                DEADLINE_SECONDS,
            )
    finally:
        sleeper.send(SIGCONT)


async def join_and_leave(world: World, random: Random) -> None:
    """One more worker takes shards and gives them back, in order or by SIGKILL."""
    guest = world.floor.add_worker()
    await until(lambda: guest.shards() > 0, "the guest has shards", DEADLINE_SECONDS)
    await world.load.more(EVENTS)
    if random.random() < 1 / 2:
        guest.wanted = False
        guest.kill()
        guest.note_end()
        world.floor.dismiss(guest)
    else:
        await world.floor.remove(guest)


async def reassign(world: World, random: Random) -> None:
    """A worker joins while another one loads its shards, which a slow network makes last."""
    floor = world.floor
    world.servers.network(SLOW)
    try:
        victim = random.choice(floor.workers)
        starts = victim.starts
        victim.kill()
        await until(lambda: victim.starts > starts, "it is started again", DEADLINE_SECONDS)
        await until(lambda: victim.scrape().samples, "it answers", DEADLINE_SECONDS)
        guest = floor.add_worker()
        await until(lambda: guest.shards() > 0, "the guest has shards", DEADLINE_SECONDS)
    finally:
        world.servers.network("restore")
    await floor.remove(guest)


async def disk_full(world: World, random: Random) -> None:
    """A worker that can write neither its log nor any file; it counts and ends in order."""
    worker = random.choice(world.floor.workers)
    await asyncio.to_thread(worker.stop)
    worker.start(disk_full=True)
    starts = worker.starts
    await until(lambda: worker.shards() > 0, "it counts without a disk", DEADLINE_SECONDS)
    await world.load.more(EVENTS)
    assert worker.starts == starts, "with a full disk a worker has ended"
    await asyncio.to_thread(worker.stop)
    worker.start()


FAULTS: Final = (
    Fault("kill", "SIGKILL of a worker", kill),
    Fault(
        "kill_after_send",
        "a worker kills itself once a part of a transaction was acknowledged",
        _end_itself("SIGKILL", "after_send"),
    ),
    Fault(
        "kill_after_acks",
        "… once all of it was, before the commit",
        _end_itself("SIGKILL", "after_acks"),
    ),
    Fault("kill_in_commit", "… while the commit is under way", _end_itself("SIGKILL", "in_commit")),
    Fault(
        "kill_after_commit",
        "… after the commit, before it knows of it",
        _end_itself("SIGKILL", "after_commit"),
    ),
    Fault("sleep", "SIGSTOP for longer than the session, then SIGCONT", sleep),
    Fault("terminate", "SIGTERM in the middle of a flush, and a start", terminate),
    Fault("join_and_leave", "one more worker joins and leaves", join_and_leave),
    Fault("reassign", "a worker joins while another one loads its shards", reassign),
    Fault("disk_full", "a worker runs with a full disk", disk_full),
)

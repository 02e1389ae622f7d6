"""Faults of Redis; the stream goes on without it, and all views come back."""

import asyncio
from random import Random
from typing import Final

from redis.asyncio import Redis

from cc_stream.outputs import view_name
from cc_stream.view import View
from tests.chaos.faults.fault import Fault, World
from tests.chaos.floor import DEADLINE_SECONDS, Floor
from tests.waiting import until

DOWN_SECONDS: Final = (0.0, 2.0)
PAUSED_SECONDS: Final = (1.0, 5.0)
WHOLE_SECONDS: Final = 10.0
"""So soon after the return of Redis every view is there again."""
FAILURES: Final = "cc_sink_failures_total"


async def kill(world: World, random: Random) -> None:
    """SIGKILL, and a start with nothing in it."""
    redis = world.servers.redis
    before = await world.floor.views()
    await asyncio.to_thread(redis.kill)
    await asyncio.sleep(random.uniform(*DOWN_SECONDS))
    await asyncio.to_thread(redis.start)
    await _shown_again(world.floor, before)


async def pause(world: World, random: Random) -> None:
    """SIGSTOP: connections stay open, nothing answers."""
    before = await world.floor.views()
    world.servers.redis.pause()
    try:
        await asyncio.sleep(random.uniform(*PAUSED_SECONDS))
    finally:
        world.servers.redis.resume()
    await _shown_again(world.floor, before)


async def flush(world: World, _random: Random) -> None:
    """Everything in it is deleted."""
    before = await world.floor.views()
    async with Redis.from_url(world.servers.redis.url) as client:
        await client.flushall()
    await _shown_again(world.floor, before)


async def full(world: World, _random: Random) -> None:
    """It is out of memory and takes no write until it has some again."""
    floor = world.floor
    views = await floor.views()
    before = (await floor.scrape()).total(FAILURES) or 0
    async with Redis.from_url(world.servers.redis.url) as client:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "1mb")

        def has_failed() -> bool:
            seen = [worker.scrape().total(FAILURES) or 0 for worker in floor.workers]
            return sum(seen) > before

        try:
            await until(has_failed, "a write to Redis was refused", DEADLINE_SECONDS)
        finally:
            await client.config_set("maxmemory", "0")
    await _shown_again(floor, views)


async def _shown_again(floor: Floor, before: list[View]) -> None:
    """Wait until every view that was there is there, and every board shows a later moment."""
    names = {view_name(view) for view in before}
    since_ms = max((view.as_of_ms for view in before), default=0)  # nothing may be shown yet

    def is_shown() -> bool:
        now, statuses = asyncio.run(floor.views()), asyncio.run(floor.statuses())
        are_there = names <= {view_name(view) for view in now}
        return are_there and all(status.as_of_ms > since_ms for status in statuses.values())

    await until(is_shown, "every view is there again", WHOLE_SECONDS)


FAULTS: Final = (
    Fault("redis_kill", "SIGKILL of Redis, and an empty start", kill),
    Fault("redis_pause", "SIGSTOP of Redis for 1 to 5 s", pause),
    Fault("redis_flush", "FLUSHALL", flush),
    Fault("redis_full", "Redis is out of memory", full),
)

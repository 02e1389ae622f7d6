"""What runs beside the agents: a look after stuck shards, offsets for monitors, measurements."""

import asyncio
import logging
import time
from collections import Counter
from typing import Any, Final

from cc_stream.telemetry import Telemetry
from streams.health import unready
from streams.owner import STOPPED, Owner
from streams.shard import Shard

log: Final = logging.getLogger(__name__)

LAG_COMMIT_SECONDS: Final = 2.0
STUCK_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 0.5
VERIFY_SECONDS: Final = 5.0
REMIND_SECONDS: Final = 60.0

App = Any
"""The Faust app: `streams.driver` alone knows its type."""


async def watch(app: App, owner: Owner) -> None:
    """Seek back a shard whose last chunk Faust dropped when its topic then went silent."""
    while not app.should_stop:
        await asyncio.sleep(STUCK_SECONDS)
        for shard in owner.live():
            is_idle = shard.idle_seconds() >= STUCK_SECONDS and not app.rebalancing
            if is_idle and app.consumer.has_dropped(shard.source, shard.next):
                log.info("%s reads again from %d: a fetch was dropped", shard.name, shard.next)
                await owner.seek(shard.source, shard.next)


async def verify(app: App, owner: Owner) -> None:
    """Look whether topics were made anew, or unread records deleted; remind of who stopped."""
    reminded = time.monotonic()
    while not app.should_stop:
        await asyncio.sleep(VERIFY_SECONDS)
        await owner.verify()
        if time.monotonic() - reminded >= REMIND_SECONDS:
            reminded = time.monotonic()
            for stopped in owner.stopped.values():
                log.error(STOPPED, stopped.shard, stopped.reason)


async def _commit(app: Any, offsets: dict[Any, int]) -> bool:
    return bool(await app.consumer._commit(offsets))  # noqa: SLF001 - a hook


async def commit_for_monitors(app: App, owner: Owner) -> None:
    """Write the group's offsets, for lag monitors; nothing here ever reads them."""
    last: dict[Any, int] = {}
    while not app.should_stop:
        await asyncio.sleep(LAG_COMMIT_SECONDS)
        offsets = {s.source: s.durable for s in owner.live() if last.get(s.source) != s.durable}
        if offsets and not app.rebalancing and await _commit(app, offsets):
            last.update(offsets)


async def measure(app: App, owner: Owner, telemetry: Telemetry) -> None:
    """Tell how far each shard is, and how far behind."""
    told: set[Any] = set()
    stages: set[str] = set()
    while not app.should_stop:
        await asyncio.sleep(MEASURE_SECONDS)
        shards = {shard.source: shard for shard in owner.live()}
        for tp in told - shards.keys():
            telemetry.forget(tp.topic, tp.partition)
        stages |= {shard.stage.name for shard in shards.values()}
        owned = Counter(shard.stage.name for shard in shards.values())
        telemetry.owned({stage: owned[stage] for stage in stages})
        telemetry.stopped([stopped.shard for stopped in owner.stopped.values()])
        lags = {tp: await _lag(app, shard) for tp, shard in shards.items()}
        for tp, shard in shards.items():
            lag = lags[tp]
            if lag is not None:
                telemetry.lag(tp.topic, tp.partition, lag)
                telemetry.delay(tp.topic, tp.partition, shard.delay_seconds() if lag else 0.0)
            telemetry.last_event(tp.topic, tp.partition, shard.stage.data_as_of_ms)
        telemetry.health.tell(unready(owner, {tp: lag or 0 for tp, lag in lags.items()}))
        told = set(shards)


async def _lag(app: App, shard: Shard) -> int | None:
    """Records that are not committed by the shard; transaction markers at the end do not count."""
    try:
        end = app.consumer.highwater(shard.source)
        fetched = await app.consumer.position(shard.source)
    except Exception as error:  # noqa: BLE001 - not assigned just now
        log.debug("no position of %s: %r", shard.name, error)
        return None
    if end is None or fetched is None:
        return None
    delivered = app.consumer.ends.get(shard.source, -1)
    is_applied = shard.durable == shard.next and delivered < shard.next
    return int(max(0, end - (max(fetched, shard.next) if is_applied else shard.durable)))

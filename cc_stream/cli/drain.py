"""The end of a demo: the line is empty, and every shard shows the same moment.

1. The floor has counted everything that was written (`wait_for_floor`).
2. Each board partition gets a record that asks for one full tick at one moment, behind all deltas.
3. Every shard's status says that it has shown that moment (`wait_for_tick`).

`show_one_moment` is the last two, again where a shard was too late for the moment.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from cc_stream.deltas import Tick
from cc_stream.errors import CcStreamError
from cc_stream.panes import FINE_MS

if TYPE_CHECKING:
    from cc_stream.cli.scrape import Scrape
    from cc_stream.config import Settings
    from cc_stream.topics import Topics

TICK_KEY: Final = b"tick"
LAG_METRIC: Final = "cc_shard_lag_records"
LEAD_MS: Final = 1_000
"""The tick lies so far ahead, so that no shard has passed it."""
EDGE_MS: Final = 3_000
"""It keeps this distance from the ends of panes."""
QUIET_SECONDS: Final = 1.5
"""Nothing may be left for so long: a worker hears of new records with its next fetch."""
POLL_SECONDS: Final = 0.2
TICKS: Final = 4
"""So many full ticks are asked for until one finds every shard in time."""


class NotDrainedError(CcStreamError):
    """The line did not come to rest in time."""


async def wait_for_floor(
    read: Callable[[], Awaitable["Scrape"]], wanted: "Topics", deadline_seconds: float
) -> None:
    """Wait until no worker has anything left of the event topics and the reference data.

    Args:
        read: the metrics of all workers together.
        wanted: the topics; everyone's partitions have to be owned by some worker.
        deadline_seconds: from now on.

    Raises:
        NotDrainedError: the deadline passed; says what was left.
    """
    end = time.monotonic() + deadline_seconds
    quiet_since: float | None = None
    while True:
        left = lag_of(await read(), wanted)
        now = time.monotonic()
        if left == 0:
            quiet_since = quiet_since or now
            if now - quiet_since >= QUIET_SECONDS:
                return
        else:
            quiet_since = None
        if now > end:
            seen = "some partition has no worker" if left is None else f"{left:,} records are left"
            raise NotDrainedError(f"the floor did not catch up in {deadline_seconds:.0f} s: {seen}")
        await asyncio.sleep(POLL_SECONDS)


def lag_of(scrape: "Scrape", wanted: "Topics") -> int | None:
    """Records of calls, agents and reference that are not counted yet.

    None while not every partition of calls and agents is somebody's.
    """
    names = {topic.name: topic.partitions for topic in (wanted.calls, wanted.agents)}
    lags: dict[tuple[str, str], float] = {}
    for sample in scrape.named(LAG_METRIC):
        place = sample.labels["topic"], sample.labels["partition"]
        if place[0] in names or place[0] == wanted.reference.name:
            lags[place] = max(lags.get(place, 0.0), sample.value)
    owned = sum(topic in names for topic, _ in lags)
    return round(sum(lags.values())) if owned >= sum(names.values()) else None


async def show_one_moment(
    settings: "Settings",
    wanted: "Topics",
    as_of: Callable[[], Awaitable[Mapping[int, int]]],
    deadline_seconds: float,
) -> int:
    """Have every board shard show the same moment, and return it (milliseconds UTC).

    Their clocks stand there for two seconds from then on. A shard that hears of a tick too late has
    passed its moment: then all are asked anew. `as_of` and the deadline: see `wait_for_tick`.

    Raises:
        NotDrainedError: the deadline passed, or some shard was too late each time.
        CcStreamError: the broker did not take the request.
    """
    for _ in range(TICKS):
        moment_ms = tick_moment(time.time_ns() // 1_000_000)
        await ask_for_tick(settings, wanted, moment_ms)
        await wait_for_tick(as_of, wanted.deltas.partitions, moment_ms, deadline_seconds)
        if set((await as_of()).values()) == {moment_ms}:
            return moment_ms
    raise NotDrainedError(f"board shards were late for {TICKS} full ticks: they lag behind")


def tick_moment(now_ms: int) -> int:
    """A moment at least a second ahead that is not near the end of a pane, milliseconds UTC."""
    moment = now_ms + LEAD_MS
    into_pane = moment % FINE_MS
    if into_pane < EDGE_MS:
        return moment + EDGE_MS - into_pane
    if into_pane > FINE_MS - EDGE_MS:
        return moment + FINE_MS + EDGE_MS - into_pane
    return moment


async def ask_for_tick(settings: "Settings", wanted: "Topics", as_of_ms: int) -> None:
    """Write the request for a full tick behind everything on each board partition.

    Raises:
        CcStreamError: the broker did not take it.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    value = msgspec.msgpack.encode(Tick(as_of_ms))
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker, **settings.kafka_security())
    try:
        await producer.start()
        for partition in range(wanted.deltas.partitions):
            await producer.send_and_wait(wanted.deltas.name, value, TICK_KEY, partition)
    except KafkaError as error:
        raise CcStreamError(f"Kafka at {settings.broker}: {error}") from error
    finally:
        await producer.stop()


async def wait_for_tick(
    as_of: Callable[[], Awaitable[Mapping[int, int]]],
    shards: int,
    moment_ms: int,
    deadline_seconds: float,
) -> None:
    """Wait until every board shard has shown `moment_ms`.

    Args:
        as_of: shard → the moment of its last tick, of those that have a status.
        shards: how many there are.
        moment_ms: what was asked for.
        deadline_seconds: from now on.

    Raises:
        NotDrainedError: the deadline passed; names the shards.
    """
    end = time.monotonic() + deadline_seconds
    while True:
        seen = await as_of()
        late = [shard for shard in range(shards) if seen.get(shard, 0) < moment_ms]
        if not late:
            return
        if time.monotonic() > end:
            raise NotDrainedError(
                f"board shards {late} did not show the last tick in {deadline_seconds:.0f} s"
            )
        await asyncio.sleep(POLL_SECONDS)

"""What a sink is: a place outside Kafka where a board shard's views are kept for readers.

Everything that is given is absolute and carries its order, so writing it again changes nothing and
what comes late cannot win.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from cc_stream.alerts.engine import Alert
from cc_stream.errors import CcStreamError
from cc_stream.leaderboard import Leaderboard
from cc_stream.view import View


class SinkUnavailable(CcStreamError):  # noqa: N818 - a state of the sink, not a mistake
    """A sink cannot be reached; nothing or a part was written. Publish whole when it is back."""


class ShardStatus(Struct, frozen=True):
    """How a board shard stands. Moments are milliseconds UTC.

    `sources`: the latest event time by source. `lag`: records of the deltas topic not yet applied.
    `events`: how many events its numbers are made of since the shard was loaded.
    `delay_ms`: event to board, of what was applied last; None before anything was.
    """

    as_of_ms: int
    data_as_of_ms: int
    order: str
    sources: dict[str, int] = {}
    lag: int = 0
    events: int = 0
    delay_ms: int | None = None


class Update(Struct, frozen=True):
    """What a board shard tells a sink at one tick.

    `views` and `leaderboards` are those that changed, `alerts` the records that the engine gave
    since the last update. With `whole` they are everything that the shard owns, and all its active
    alerts: what else was known of the shard's alerts is dropped.
    """

    shard: int
    as_of_ms: int
    views: Sequence[View]
    leaderboards: Sequence[Leaderboard]
    alerts: Sequence[Alert]
    whole: bool
    status: ShardStatus


class Sink(Protocol):
    """A place where views are kept."""

    async def publish(self, update: Update) -> bool:
        """Write an update; True: the shard's next update has to be `whole`.

        True is said of a store that has lost what it had, and of a shard that it does not know.

        Raises:
            SinkUnavailable: it cannot be reached. The next update has to be `whole`.
        """

    def forget(self, shard: int) -> None:
        """Hold nothing of a shard any more in this process: another worker owns it now."""

    async def close(self) -> None:
        """Let go of connections. Nothing is deleted."""

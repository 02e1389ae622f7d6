"""What a worker sees of the cluster: whether it answers, and which of its topics are gone.

Shards alone would not tell. One that has nothing to write asks for nothing; and the partitions of a
topic that was deleted are taken from every worker without a failure.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from streams.broker import Broker

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

log: Final = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0

Tell = Callable[[float, Collection[str]], None]
"""Told after each look for how long the cluster has not answered, and which topics are gone."""


class Cluster:
    """Looks every two seconds, over a connection of its own. `returned` is told of each return."""

    def __init__(self, broker: Broker, topics: Collection[str], tell: Tell) -> None:
        self.broker = broker
        self.topics = topics
        self.tell = tell
        self.is_away = False
        self.returned: Callable[[], None] = _nobody
        self._returning = False
        self.gone: Collection[str] = ()
        self._heard_at = time.monotonic()
        self._missed: Collection[str] = ()
        self._consumer: AIOKafkaConsumer | None = None

    def silent_seconds(self) -> float:
        """For how long the cluster has not answered. Any thread may ask."""
        return time.monotonic() - self._heard_at if self.is_away else 0.0

    async def look_loop(self) -> None:
        """Look for ever."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._disconnect()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._ask()
        except (KafkaError, OSError, TimeoutError) as error:
            self.is_away = True
            log.warning("the broker has not answered for %.0f s: %r", self.silent_seconds(), error)
            await self._disconnect()
        else:
            self._heard()
            self._compare(found)
        self.tell(self.silent_seconds(), self.gone)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        if self._returning:  # with its first answer a broker only begins to be back
            self.returned()
        self._returning, self.is_away = self.is_away, False

    async def _ask(self) -> Collection[str]:
        if self._consumer is None:
            self._consumer = self.broker.consumer()
            await self._consumer.start()
        found: set[str] = await self._consumer.topics()
        return found

    def _compare(self, found: Collection[str]) -> None:
        """A topic is gone when it is missed twice: a broker may have just started."""
        missed = [name for name in self.topics if name not in found]
        before, self.gone = self.gone, [name for name in missed if name in self._missed]
        self._missed = missed
        for name in self.gone:
            if name not in before:
                log.error("topic %s is not there: was it deleted? Nothing of it is counted", name)

    async def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


def _nobody() -> None:
    """Until the parts are put together nobody waits for a return."""

"""One Kafka transaction of a shard: all of its records, or none."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from aiokafka import TopicPartition

from cc_stream.errors import CcStreamError
from cc_stream.partitioner import partition_of
from streams.broker import Broker
from streams.fence import fence
from streams.stage import Write

FENCE_TIMEOUT_SECONDS: Final = 30.0
"""Without a coordinator aiokafka would ask for one for ever."""
STOP_TIMEOUT_SECONDS: Final = 5.0
AT_ONCE: Final = 250
"""Records made and put into batches in one go, a millisecond or so: then the loop serves others."""

_partition_of: Final = lru_cache(100_000)(partition_of)
"""Remembered: views are told again and again under the same keys."""


class ReleasedError(CcStreamError):
    """The shard was let go of while it wrote: its next owner sees whether that was stored."""


class Transactions:
    """The transactional producer of a shard. After any failure it is of no more use."""

    def __init__(
        self, broker: Broker, shard: str, changelog: TopicPartition, topics: Collection[str]
    ) -> None:
        """`topics`: all that it may write to beside its changelog, in any of their partitions."""
        self.broker = broker
        self.shard = shard
        self.changelog = changelog
        self.topics = topics
        self._producer: Any = None
        self._open: asyncio.Task[int] | None = None
        self._partitions: Mapping[str, Collection[TopicPartition]] = {}  # that it may write to

    async def fence(self) -> None:
        """Start: a former owner can commit nothing from now on, and what it had open is over.

        Raises:
            KafkaError, TimeoutError: the broker does not answer.
        """
        producer = self._producer = self.broker.producer(self.shard)
        try:
            async with asyncio.timeout(FENCE_TIMEOUT_SECONDS):
                self._partitions = await fence(self.broker, producer, self.changelog, self.topics)
        except TimeoutError:
            message = f"{self.shard} is not fenced: no coordinator, or a partition has no leader"
            raise TimeoutError(message) from None

    async def stop(self) -> None:
        """End; whoever waits for a transaction hears of it."""
        producer, self._producer = self._producer, None
        if self._open is not None:
            self._open.cancel()
        if producer is not None:
            await asyncio.wait_for(producer.stop(), STOP_TIMEOUT_SECONDS)

    async def commit(self, writes: Iterable[Write], *, everywhere: bool = False) -> int:
        """Write all of these in one transaction; how many they were.

        `everywhere`: it is committed in each partition that the shard may write to. So is what was
        committed there before and has no marker yet (`streams.fence`).

        Raises:
            ReleasedError: `stop` was called meanwhile.
            KafkaError: the broker did not take it.
        """
        assert self._producer is not None
        work = self._commit(self._producer, writes, everywhere=everywhere)
        self._open = asyncio.ensure_future(work)
        try:
            return await self._open
        except asyncio.CancelledError:
            if self._producer is not None:
                raise  # not the transaction was given up, but the caller
            raise ReleasedError(f"{self.shard} was let go of while it wrote") from None

    async def _commit(self, producer: Any, writes: Iterable[Write], *, everywhere: bool) -> int:
        await producer.begin_transaction()
        if everywhere:
            producer.add_partitions(chain.from_iterable(self._partitions.values()))
        sent, count = [], 0
        batches: dict[tuple[str, int], Any] = {}
        for count, write in enumerate(writes, 1):
            topic, partition = write.topic, write.partition
            if partition is None:
                partition = _partition_of(write.key or b"", len(self._partitions[topic]))
            batch = batches.get((topic, partition))
            if batch is None:
                assert topic in self._partitions, topic
                batch = batches[topic, partition] = producer.create_batch()
            if _append(batch, write) is None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                batch = batches[topic, partition] = producer.create_batch()
                if _append(batch, write) is None:
                    message = f"a record for {topic} is too large: {len(write.value or b'')} bytes"
                    raise CcStreamError(message)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        for (topic, partition), batch in batches.items():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await producer.flush()
        await _all(sent)  # every send, before the commit
        await producer.commit_transaction()
        return count


def _append(batch: Any, write: Write) -> Any:
    headers = list(write.headers)  # aiokafka takes a list alone
    return batch.append(key=write.key, value=write.value, timestamp=None, headers=headers)


async def _all(futures: Sequence["asyncio.Future[Any]"]) -> None:
    """Wait for every one, then raise the first failure: none is left unobserved."""
    results = await asyncio.gather(*futures, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result

"""One Kafka transaction of a shard: all of its records, or none."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from cc_stream.errors import CcStreamError
from cc_stream.partitioner import partition_of
from streams.broker import Broker
from streams.stage import Write

FENCE_TIMEOUT_SECONDS: Final = 30.0
"""Without a coordinator aiokafka would ask for one for ever."""
STOP_TIMEOUT_SECONDS: Final = 5.0

_partition_of: Final = lru_cache(100_000)(partition_of)
"""Remembered: views are told again and again under the same keys."""


class ReleasedError(CcStreamError):
    """The shard was let go of while it wrote: its next owner sees whether that was stored."""


class Transactions:
    """The transactional producer of a shard. After any failure it is of no more use."""

    def __init__(self, broker: Broker, shard: str) -> None:
        self.broker = broker
        self.shard = shard
        self._producer: Any = None
        self._open: asyncio.Task[None] | None = None
        self._partitions: dict[str, int] = {}

    async def fence(self) -> None:
        """Start: a former owner can commit nothing from now on, and what it had open is over.

        Raises:
            KafkaError, TimeoutError: the broker does not answer.
        """
        self._producer = self.broker.producer(self.shard)
        async with asyncio.timeout(FENCE_TIMEOUT_SECONDS):
            await self._producer.start()

    async def stop(self) -> None:
        """End; whoever waits for a transaction hears of it."""
        producer, self._producer = self._producer, None
        if self._open is not None:
            self._open.cancel()
        if producer is not None:
            await asyncio.wait_for(producer.stop(), STOP_TIMEOUT_SECONDS)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Write all of these in one transaction.

        Raises:
            ReleasedError: `stop` was called meanwhile.
            KafkaError: the broker did not take it.
        """
        assert self._producer is not None
        self._open = asyncio.ensure_future(self._commit(self._producer, writes))
        try:
            await self._open
        except asyncio.CancelledError:
            if self._producer is not None:
                raise  # not the transaction was given up, but the caller
            raise ReleasedError(f"{self.shard} was let go of while it wrote") from None

    async def _commit(self, producer: Any, writes: Sequence[Write]) -> None:
        await producer.begin_transaction()
        sent = []
        for (topic, partition), group in (await self._grouped(producer, writes)).items():
            batch = producer.create_batch()
            for write in group:
                if _append(batch, write) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    if _append(batch, write) is None:
                        message = (
                            f"a record for {topic} is too large: {len(write.value or b'')} bytes"
                        )
                        raise CcStreamError(message)
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await producer.flush()
        await _all(sent)  # every send, before the commit
        await producer.commit_transaction()

    async def _grouped(
        self, producer: Any, writes: Sequence[Write]
    ) -> dict[tuple[str, int], list[Write]]:
        groups: dict[tuple[str, int], list[Write]] = {}
        for write in writes:
            partition = write.partition
            if partition is None:
                count = await self._count_of(producer, write.topic)
                partition = _partition_of(write.key or b"", count)
            groups.setdefault((write.topic, partition), []).append(write)
        return groups

    async def _count_of(self, producer: Any, topic: str) -> int:
        count = self._partitions.get(topic)
        if count is None:
            count = len(await producer.partitions_for(topic))
            self._partitions[topic] = count
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

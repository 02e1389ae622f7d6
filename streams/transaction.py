"""One Kafka transaction of a shard: all of its records, or none."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.producer import sender as aiokafka_sender
from aiokafka.producer.transaction_manager import TransactionResult

from cc_stream.errors import CcStreamError
from cc_stream.partitioner import partition_of
from streams.broker import Broker
from streams.stage import Write

FENCE_TIMEOUT_SECONDS: Final = 30.0
"""Without a coordinator aiokafka would ask for one for ever."""
STOP_TIMEOUT_SECONDS: Final = 5.0
LEADER_SECONDS: Final = 0.1
"""How long it is waited until a partition's leader is looked for again."""

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
        batches = {
            place: _batches(producer, group)
            for place, group in (await self._grouped(producer, writes)).items()
        }
        sending = _Sending(producer)
        sending.begin()
        # Of a partition one after the other: their numbers have to arrive in turn.
        for of_each in zip_longest(*batches.values()):
            sent = [
                sending.give(place, batch)
                for place, batch in zip(batches, of_each, strict=True)
                if batch is not None
            ]
            await sending.add_partitions()
            await sending.send()
            errors = [one.future.exception() for one in sent]  # every one, before the commit
            if any(errors):
                raise next(filter(None, errors))
        await sending.commit()

    async def _grouped(
        self, producer: Any, writes: Sequence[Write]
    ) -> dict[TopicPartition, list[Write]]:
        groups: dict[TopicPartition, list[Write]] = {}
        for write in writes:
            count = self._partitions.get(write.topic)
            if count is None:  # asked also where the partition is given: it has to be known where
                count = len(await producer.partitions_for(write.topic))
                self._partitions[write.topic] = count
            partition = write.partition
            if partition is None:
                partition = _partition_of(write.key or b"", count)
            groups.setdefault(TopicPartition(write.topic, partition), []).append(write)
        return groups


class _Sending:
    """One transaction, step by step, with the handlers of aiokafka's sender and their retries.

    Its own task would take a dozen turns of the loop for a transaction, and each of them waits for
    everything else that is ready (docs/decisions/0010). Here it is one turn for an answer.
    """

    def __init__(self, producer: Any) -> None:
        self.client = producer.client
        self.manager = producer._txn_manager  # noqa: SLF001 - hooks: each test with a broker needs them
        self.sender = producer._sender  # noqa: SLF001
        self.accumulator = producer._message_accumulator  # noqa: SLF001

    def begin(self) -> None:
        self.manager.begin_transaction()
        self.ended = self.manager.wait_for_transaction_end()

    def give(self, place: TopicPartition, batch: Any) -> Any:
        """Take in a batch to be sent; where no other of its partition waits."""
        return self.accumulator._append_batch(batch, place)  # noqa: SLF001

    async def add_partitions(self) -> None:
        """Tell the coordinator of the partitions that are new to the transaction."""
        while partitions := self.manager.partitions_to_add():
            await self._ask(aiokafka_sender.AddPartitionsToTxnHandler(self.sender, partitions))
        if self.ended.done():
            self.ended.result()  # refused

    async def send(self) -> None:
        """Send what was given to the leaders, again until each has taken it or will not."""
        while True:
            by_node, without_leader = self.accumulator.drain_by_nodes(ignore_nodes=())
            requests = [
                aiokafka_sender.SendProduceReqHandler(self.sender, batches).do(node)
                for node, batches in by_node.items()
            ]
            if len(requests) == 1:
                await requests[0]
            elif requests:
                await asyncio.gather(*requests)
            elif not without_leader:
                return
            if without_leader:
                await self.client.force_metadata_update()
                await asyncio.sleep(LEADER_SECONDS)

    async def commit(self) -> None:
        """End the transaction."""
        self.manager.committing_transaction()
        while not self.ended.done():
            commit = TransactionResult.COMMIT
            await self._ask(aiokafka_sender.EndTxnHandler(self.sender, commit))

    async def _ask(self, handler: Any) -> None:
        name = self.manager.transactional_id
        node = await self.sender._find_coordinator(CoordinationType.TRANSACTION, name)  # noqa: SLF001
        await handler.do(node)


def _batches(producer: Any, writes: Sequence[Write]) -> list[Any]:
    batches = [producer.create_batch()]
    for write in writes:
        if _append(batches[-1], write) is None:
            batches.append(producer.create_batch())
            if _append(batches[-1], write) is None:
                message = (
                    f"a record for {write.topic} is too large: {len(write.value or b'')} bytes"
                )
                raise CcStreamError(message)
    return batches


def _append(batch: Any, write: Write) -> Any:
    headers = list(write.headers)  # aiokafka takes a list alone
    return batch.append(key=write.key, value=write.value, timestamp=None, headers=headers)

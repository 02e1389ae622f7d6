"""A transactional producer that sends when it is told to, and has no task for it.

aiokafka's own task takes a dozen turns of the loop for a transaction, and each of them waits for
everything else that is ready (docs/decisions/0010). Here an answer of the broker is one turn. What
is asked, and what is asked again after which error, stays with aiokafka's handlers.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.producer.sender import (
    AddPartitionsToTxnHandler,
    EndTxnHandler,
    SendProduceReqHandler,
)
from aiokafka.producer.transaction_manager import TransactionResult

LEADER_SECONDS: Final = 0.1
"""How long it is waited until a partition's leader is looked for again."""


class TaskFreeProducer(AIOKafkaProducer):  # type: ignore[misc]  # ships no types
    """Sends the batches of a transaction in `flush`; every test with a broker needs its hooks.

    It gives up none of its own transactions: after a failure it is stopped, and the next that
    starts with its transactional id ends what it left open.
    """

    async def start(self) -> None:
        """See aiokafka. With its producer id it has fenced its predecessor."""
        await self.client.bootstrap()
        await self._sender._maybe_wait_for_pid()  # noqa: SLF001 - a hook

    def add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        """The transaction is of these, too, whether anything is written there or not."""
        for partition in partitions:
            self._txn_manager.maybe_add_partition_to_txn(partition)

    async def abort_in(self, partitions: Iterable[TopicPartition]) -> None:
        """An aborted transaction of these, in which nothing is written."""
        self._txn_manager.begin_transaction()
        self.add_partitions(partitions)
        await self._add_partitions()
        self._txn_manager.aborting_transaction()
        await self._end_transaction(TransactionResult.ABORT)

    async def begin_transaction(self) -> None:
        """See aiokafka."""
        self._txn_manager.begin_transaction()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Take in a batch for `flush`; what is told when it is on the broker."""
        await self.partitions_for(topic)  # it has to be known where they are
        place = TopicPartition(topic, partition)
        if place in self._message_accumulator._batches:  # noqa: SLF001 - one at a time, in turn
            await self.flush()
        future: asyncio.Future[Any]
        future = self._message_accumulator._append_batch(batch, place).future  # noqa: SLF001
        return future

    async def flush(self) -> None:
        """Send all that was taken in: again until each leader has taken it or will not."""
        await self._add_partitions()
        while True:
            by_node, without_leader = self._message_accumulator.drain_by_nodes(ignore_nodes=())
            requests = [
                SendProduceReqHandler(self._sender, batches).do(node)
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

    async def commit_transaction(self) -> None:
        """End the transaction."""
        self._txn_manager.committing_transaction()
        await self._end_transaction(TransactionResult.COMMIT)

    async def _end_transaction(self, result: TransactionResult) -> None:
        ended = self._txn_manager.wait_for_transaction_end()
        while not ended.done():
            await self._ask(EndTxnHandler(self._sender, result))

    async def _add_partitions(self) -> None:
        """Tell the coordinator of the partitions that are new to the transaction."""
        manager = self._txn_manager
        while partitions := manager.partitions_to_add():
            await self._ask(AddPartitionsToTxnHandler(self._sender, partitions))
        if manager.wait_for_transaction_end().done():
            manager.wait_for_transaction_end().result()  # refused

    async def _ask(self, handler: Any) -> None:
        name = self._txn_manager.transactional_id
        node = await self._sender._find_coordinator(CoordinationType.TRANSACTION, name)  # noqa: SLF001
        await handler.do(node)

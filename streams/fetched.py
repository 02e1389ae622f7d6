"""What a consumer has fetched, and how it is taken: many records at a time, with where they lay.

aiokafka decides which of Kafka's batches are committed, and gives their records one by one. Here a
batch gives them in runs, as the decoder made them. Its private parts that this leans on are held by
tests/broker/test_fetched.py.
"""

import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from sys import maxsize
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult


class Fetched(list[Any]):
    """Records, in order: there is no other from `begin` to the last of them.

    `end` is where the partition ended when the broker gave them, 0 if it is not known.
    """

    __slots__ = ("begin", "end")

    def __init__(self, records: Iterable[Any], begin: int, end: int = 0) -> None:
        super().__init__(records)
        self.begin = begin
        self.end = end


class Untaken(dict[TopicPartition, Any]):
    """What was fetched, until it is taken: aiokafka's fetches by partition, or its errors."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        # Where the next that is taken of a partition begins, if it is read from this position on:
        # between the two lie markers of transactions, which nobody is given.
        self._follows: dict[TopicPartition, tuple[int, int]] = {}

    def __setitem__(self, tp: TopicPartition, fetched: Any) -> None:
        if type(fetched) is FetchResult:
            unpacked = fetched._partition_records  # noqa: SLF001 - a hook
            unpacked._consumer_record = _as_it_is  # noqa: SLF001
            unpacked._records = _Batches(unpacked._records)  # noqa: SLF001
            # Weak, else what is thrown away would stay until the garbage collector comes.
            fetched.getall = partial(self._take, tp, weakref.proxy(fetched))
        super().__setitem__(tp, fetched)

    def _take(self, tp: TopicPartition, fetched: Any, max_records: int | None) -> Fetched:
        """In the place of `FetchResult.getall`: nothing else moves the position meanwhile."""
        at_most = maxsize if max_records is None else max_records
        unpacked = fetched._partition_records  # noqa: SLF001 - a hook
        position, begin = self._follows.get(tp, (-1, 0))
        if unpacked.next_fetch_offset != position:
            begin = unpacked.next_fetch_offset
        end = fetched._assignment.state_value(tp).lso or 0  # noqa: SLF001 - what is committed
        records = Fetched((), begin, end)
        if fetched.check_assignment(tp):
            _fill(records, unpacked, at_most)
            fetched._update_position()  # noqa: SLF001
            if len(records) < at_most:
                fetched._partition_records = None  # noqa: SLF001 - that was all of it
        following = records[-1].offset + 1 if records else begin
        self._follows[tp] = unpacked.next_fetch_offset, following
        return records


def _fill(records: Fetched, unpacked: Any, at_most: int) -> None:
    while len(records) < at_most:
        following = unpacked.next_fetch_offset
        unpacked._records.at_most = at_most - len(records)  # noqa: SLF001 - a hook
        run = next(unpacked, None)
        if run is None:
            break
        if run[0].offset < following:  # the batch begins before what was asked for
            run = [record for record in run if record.offset >= following]
        records += run


class _Run(list[Any]):
    """Records of one batch. aiokafka takes it for one, the last of them."""

    @property
    def offset(self) -> int:
        """Behind it the position moves."""
        return int(self[-1].offset)


class _Batches:
    """The batches of a fetch, each of which gives its records in runs of `at_most`."""

    def __init__(self, batches: Any) -> None:
        self.has_next = batches.has_next
        self.at_most = 0
        self._batches = batches

    def next_batch(self) -> Any:
        """A batch of markers stays as it is: aiokafka reads it."""
        batch = self._batches.next_batch()
        return batch if batch.is_control_batch else _InRuns(batch, self)


class _InRuns:
    """A batch: what it says of itself, and its records."""

    def __init__(self, batch: Any, of: _Batches) -> None:
        self._batch = batch
        self._of = of

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[_Run]:
        records = chain(self._batch)  # a batch gives its iterator once, and no end twice
        while run := _Run(islice(records, self._of.at_most)):
            yield run


def _as_it_is(_tp: TopicPartition, run: _Run) -> _Run:
    return run

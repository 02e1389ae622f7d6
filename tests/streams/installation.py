"""Workers, shards, boards and a view store on a Kafka in memory, and every fault on request.

`streams.owner` and `streams.shard` are the real ones. The driver's part, fetching and seeking, is
played by whoever calls `deliver`.
"""

import asyncio
import selectors
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

import orjson
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from cc_stream.admit import Limits
from cc_stream.alerts import AlertLevels
from cc_stream.contracts import decode_one
from cc_stream.events import Refused
from cc_stream.partitioner import partition_of
from cc_stream.reference import Terms
from cc_stream.report.collect import Collected, Reader
from cc_stream.report.compare import Comparison, compare
from cc_stream.report.oracle import Rules
from cc_stream.simulate.outbox import Arrival
from cc_stream.sinks.fake import FakeReader, FakeSink, FakeStore
from cc_stream.sinks.sink import SinkUnavailable
from cc_stream.topics import Topics, topics
from streams.board import Board, BoardPlan
from streams.fetched import Fetched
from streams.floor import Agents, Calls, Copy, Plan
from streams.owner import Owner
from streams.shard import Shard
from streams.stage import Record
from tests.streams.kafka import Fault, Kafka, MemoryBroker

if TYPE_CHECKING:
    from streams.broker import Broker

POISON = b'{"poison":'
"""No JSON; the stages of this installation die of it."""


class Poisoned(Exception):  # noqa: N818 - what a record does to a stage
    """As a fault of ours in a stage."""


class _Timeless(selectors.DefaultSelector):
    """Waits by turning the clock on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class TimelessLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeping takes no time."""

    def __init__(self) -> None:
        self._timeless = _Timeless()
        super().__init__(self._timeless)

    def time(self) -> float:
        """Seconds that were slept away."""
        return self._timeless.now


class Unheard:
    """Every observer; nothing is kept."""

    def chunk(self, shard: str, records: int) -> None: ...
    def flushed(self, shard: str, seconds: float, records: int) -> None: ...
    def transaction(self, shard: str, seconds: float) -> None: ...
    def loading(self, shard: str, remaining: int) -> None: ...
    def loaded(self, shard: str, seconds: float, records: int) -> None: ...
    def taken_over(self, shard: str, steps: Mapping[str, float]) -> None: ...
    def decoded(self, stage: str, records: int, unknown_fields: int) -> None: ...
    def verdicts(self, stage: str, by_kind: Counter[str], refused: Counter[str]) -> None: ...


class _FragileCalls(Calls):
    """Dies of poison, when it has counted what lies before it."""

    def apply(self, records: Sequence[Record]) -> None:
        healthy = list(takewhile(lambda record: not _is_poison(record), records))
        if healthy:
            super().apply(healthy)
        if len(healthy) < len(records):
            raise Poisoned


def _is_poison(record: Record) -> bool:
    return record.value is not None and record.value.startswith(POISON)


class Worker:
    """One process: its shards and its own connection to the view store."""

    def __init__(self, installation: "Installation") -> None:
        self.installation = installation
        self.sink = FakeSink(installation.store)
        self.known: dict[int, Board] = {}
        self.is_down = False
        self.ended = False
        self.owner = Owner(installation.make, 6.0, {}, lambda _name: None)
        self.owner.give_up = self._give_up

    async def _give_up(self, _error: BaseException) -> None:
        self.ended = True

    async def flush(self, tp: TopicPartition, now_ms: int) -> bool:
        """Flush one shard; False when that failed."""
        shard = self.owner.shards.get(tp)
        if shard is None:
            return True
        try:
            await shard.flush(now_ms)
        except Exception as error:  # noqa: BLE001 - the one error policy of shards
            await self.owner.failed(tp, shard, error)
            return False
        return True

    async def show(self, now_ms: int) -> None:
        """Tick every board, as `streams.publish` does."""
        boards = {
            shard.source.partition: shard.stage
            for shard in self.owner.live()
            if isinstance(shard.stage, Board)
        }
        for gone in self.known.keys() - boards.keys():
            self.sink.forget(gone)
        for partition, board in boards.items():
            if self.is_down or self.known.get(partition) is not board:
                board.repeat_whole()
        self.known, self.is_down = boards, False
        for board in boards.values():
            update = board.tick(now_ms)
            if update is None:
                continue
            try:
                if await self.sink.publish(update):
                    board.repeat_whole()
            except SinkUnavailable:
                self.is_down = True


class Installation:
    """Everything, with as few partitions as show that there are several."""

    def __init__(self, now_ms: int, workers: int) -> None:
        self.topics: Topics = topics(calls=2, agents=1, board=2)
        self.kafka = Kafka(self.topics, now_ms)
        self.store = FakeStore(lambda: self.kafka.now_ms)
        self.limits = Limits()
        self.terms = Terms(timezone="Europe/Berlin")
        self.loop = TimelessLoop()
        names = self.topics
        self.changelogs = {
            names.reference.name: names.reference_changelog.name,
            names.calls.name: names.contacts_changelog.name,
            names.agents.name: names.agents_changelog.name,
            names.deltas.name: names.panes_changelog.name,
        }
        self.sources = [
            TopicPartition(topic, number)
            for topic in self.changelogs
            for number in range(self.kafka.counts[topic])
        ]
        self.workers = [Worker(self) for _ in range(workers)]
        self.asleep: list[Worker] = []
        self.poisoned = 0
        self.place = {tp: number % workers for number, tp in enumerate(self.sources)}
        self.assign()

    def close(self) -> None:
        """Let the loop go."""
        self.run(_closed([*self.workers, *self.asleep]))
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Do something in the loop."""
        return self.loop.run_until_complete(work)

    # --- parts -------------------------------------------------------------------------------

    def make(self, tp: TopicPartition) -> Shard:
        """A shard as `streams.app` makes it."""
        broker = cast("Broker", MemoryBroker(self.kafka))
        return Shard(broker, tp, self.changelogs[tp.topic], self._stage(tp), Unheard())

    def _stage(self, tp: TopicPartition) -> Calls | Agents | Copy | Board:
        names = self.topics
        plan = Plan(names, self.limits, Unheard())
        if tp.topic == names.calls.name:
            return _FragileCalls(plan, tp.partition)
        if tp.topic == names.agents.name:
            return Agents(plan, tp.partition)
        if tp.topic == names.reference.name:
            return Copy(plan, tp.partition)
        board = BoardPlan(names, self.terms, AlertLevels(), "60m", 1, 20, 0)
        return Board(board, tp.partition, self.kafka.now_ms)

    def worker_of(self, tp: TopicPartition) -> Worker:
        """Who has a partition."""
        return self.workers[self.place[tp]]

    def shard_of(self, tp: TopicPartition) -> Shard | None:
        """Its shard where it counts."""
        shard = self.worker_of(tp).owner.shards.get(tp)
        return shard if shard is not None and shard.live else None

    # --- what happens ------------------------------------------------------------------------

    def produce(self, arrivals: Iterable[Arrival]) -> None:
        """Put records on their topics: time goes on to each."""
        for arrival in arrivals:
            topic = getattr(self.topics, arrival.topic)
            partition = partition_of(arrival.key, topic.partitions)
            self.kafka.now_ms = max(self.kafka.now_ms, arrival.at_ms)
            self.kafka.append(TopicPartition(topic.name, partition), arrival.key, arrival.value)

    def poison(self, partition: int) -> None:
        """Put a record of which a stage dies on a partition of calls."""
        self.poisoned += 1
        self.kafka.append(TopicPartition(self.topics.calls.name, partition), b"p", POISON)

    def assign(self) -> None:
        """Tell every worker what it has, and wait until each shard counts or has stopped."""
        self.run(self._assign())

    async def _assign(self) -> None:
        self._tell()
        await self._rest()

    def _tell(self) -> None:
        for number, worker in enumerate(self.workers):
            worker.owner.assign(tp for tp in self.sources if self.place[tp] == number)

    async def _rest(self) -> None:
        """Wait until each shard counts or has stopped; a worker that ended is started again."""
        for _ in range(1_000):
            if any(worker.ended for worker in self.workers):
                self.workers = [Worker(self) if w.ended else w for w in self.workers]
                self._tell()
            if all(self.shard_of(tp) or self.has_stopped(tp) for tp in self.sources):
                return
            await asyncio.sleep(10.0)
        raise AssertionError("some shards never load")

    def has_stopped(self, tp: TopicPartition) -> bool:
        """Whether its shard has found a loss."""
        return tp in self.worker_of(tp).owner.stopped

    def kill(self, number: int) -> None:
        """A worker dies, and another one is started in its place."""
        dead, self.workers[number] = self.workers[number], Worker(self)
        self.run(dead.owner.close())  # that lets go of its connections and writes nothing
        self.assign()

    def die_in(self, number: int, fault: Fault) -> None:
        """A worker dies while its first shard with something to write is writing it."""
        now_ms = self.kafka.now_ms
        for shard in self.workers[number].owner.live():
            if shard.is_dirty(now_ms):
                self.kafka.fault = fault
                with suppress(KafkaError):
                    self.run(shard.flush(now_ms))
                self.kafka.fault = None
                return

    def fall_asleep(self, number: int) -> None:
        """A worker is stopped for so long that its partitions are given to a new one."""
        self.asleep.append(self.workers[number])
        self.workers[number] = Worker(self)
        self.assign()

    def deliver(self, tp: TopicPartition, shift: int, count: int, *, sought: bool) -> None:
        """Give a shard records from `shift` behind its position on, as a fetch may bring them.

        `sought`: the consumer was moved before this fetch.
        """
        self.run(self._deliver(tp, shift, count, sought=sought))

    async def _deliver(self, tp: TopicPartition, shift: int, count: int, *, sought: bool) -> None:
        shard = self.shard_of(tp)
        if shard is not None:
            await self._feed(self.worker_of(tp), shard, shift, count, sought=sought)
            await self._rest()

    async def _feed(
        self, worker: Worker, shard: Shard, shift: int, count: int, *, sought: bool
    ) -> None:
        partition = self.kafka.of(shard.source)
        begin = max(partition.begin, shard.next + shift)
        records = partition.committed(begin, len(partition.log))[:count]
        before = partition.committed(0, begin)
        since = before[-1].offset + 1 if before and not sought else begin
        await worker.owner.feed(shard.source, Fetched(records, since))

    def flush(self, *places: TopicPartition) -> None:
        """Flush the shards of these partitions, one after the other."""
        self.run(self._flush(*places))

    async def _flush(self, *places: TopicPartition) -> None:
        for tp in places:
            await self.worker_of(tp).flush(tp, self.kafka.now_ms)
        await self._rest()

    def lose(self, tp: TopicPartition, *, anew: bool) -> None:
        """Records that were not counted are deleted, or the topic is made anew; then it is mended.

        The shard has to stop, and to write nothing, until an operator has brought the records back.
        """
        partition = self.kafka.of(tp)
        shard = self.shard_of(tp)
        if shard is None or shard.durable == 0 or shard.next >= self._end(tp):
            return
        if partition.stable < len(partition.log):
            return  # a new topic has no transaction that is open
        changelog = self.kafka.of(TopicPartition(self.changelogs[tp.topic], tp.partition))
        before, kept = len(changelog.log), partition.log
        if anew:
            partition.log = []
        else:
            partition.begin = self._end(tp)
        self.run(self.worker_of(tp).owner.verify())
        assert self.has_stopped(tp)
        self.flush(tp)
        assert len(changelog.log) == before
        partition.begin, partition.log = 0, kept
        self.kill(self.place[tp])

    def show(self) -> None:
        """Tick every board."""
        for worker in self.workers:
            self.run(worker.show(self.kafka.now_ms))

    def wake(self) -> None:
        """Sleepers go on as if nothing had happened: no write of theirs is taken."""
        for worker in self.asleep:
            self.run(self._wake(worker))
        self.asleep = []

    async def _wake(self, worker: Worker) -> None:
        for tp, shard in list(worker.owner.shards.items()):
            await self._feed(worker, shard, 0, 5, sought=False)
            await worker.show(self.kafka.now_ms)
            if shard.is_dirty(self.kafka.now_ms):
                changelog = self.kafka.of(TopicPartition(self.changelogs[tp.topic], tp.partition))
                before = len(changelog.log)
                assert not await worker.flush(tp, self.kafka.now_ms)
                assert len(changelog.log) == before
        await worker.owner.close()

    # --- the end -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Deliver and flush until nothing moves, and show everything at one moment."""
        for worker in self.workers:
            worker.owner.settle()  # as after an outage of the broker
        self.run(self._settle())
        self.kafka.now_ms += 1_000
        for worker in self.workers:
            for shard in worker.owner.live():
                if isinstance(shard.stage, Board):
                    shard.stage.repeat_whole()
        self.show()

    async def _settle(self) -> None:
        for _ in range(1_000):
            for tp in self.sources:
                if not self._is_read(tp):
                    await self._deliver(tp, 0, 1_000, sought=False)
            await self._flush(*self.sources)
            if all(self._is_read(tp) for tp in self.sources):
                return
        raise AssertionError("the installation does not come to rest")

    def _is_read(self, tp: TopicPartition) -> bool:
        shard = self.shard_of(tp)
        return shard is not None and shard.next >= self._end(tp)

    def _end(self, tp: TopicPartition) -> int:
        """Behind the last record."""
        partition = self.kafka.of(tp)
        records = partition.committed(0, len(partition.log))
        return records[-1].offset + 1 if records else 0

    def collect(self) -> Collected:
        """What the oracle reads from the same topics; poison is none of its matter."""
        into = Collected(self.limits)
        for topic, take in ((self.topics.calls, "take_call"), (self.topics.agents, "take_agent")):
            for number in range(topic.partitions):
                reader = Reader(into, (number, topic.partitions))
                partition = self.kafka.of(TopicPartition(topic.name, number))
                for record in partition.committed(0, len(partition.log)):
                    if not _is_poison(record):
                        decoded, _ = decode_one(record.value, record.headers)
                        getattr(reader, take)(decoded, record.key, record.timestamp)
        return into

    def letters(self) -> Counter[str]:
        """Dead letters by rule."""
        letters = self.kafka.topic(self.topics.dead_letters.name)
        return Counter((dict(letter.headers)["cc_rule"] or b"").decode() for letter in letters)

    def refused(self, collected: Collected) -> Counter[str]:
        """What the letters have to be."""
        expected = Counter(collected.refused)
        if self.poisoned:
            expected["poison"] = self.poisoned
        for record in self.kafka.topic(self.topics.reference.name):
            decoded, _ = decode_one(record.value, record.headers)
            if isinstance(decoded, Refused):
                expected[decoded.rule] += 1
        return expected

    def compare(self, collected: Collected) -> Comparison:
        """What the view store and the contacts topic show against the oracle."""
        reader = FakeReader(self.store)

        async def shown() -> tuple[Any, Any]:
            tenants = await reader.tenants()
            views = [view for tenant in tenants for view in await reader.views(tenant)]
            return views, [b for tenant in tenants for b in await reader.leaderboards(tenant)]

        views, boards = self.run(shown())
        contacts = {
            (record.key or b"").decode(): orjson.loads(record.value or b"null")
            for record in self.kafka.topic(self.topics.contacts.name)
        }
        return compare(collected, views, contacts, boards, Rules(self.terms, 1))


async def _closed(workers: Sequence[Worker]) -> None:
    for worker in workers:
        await worker.owner.close()
    await asyncio.sleep(1_000.0)  # whoever waits to take a shard again sees that it is over

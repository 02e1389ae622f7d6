"""What a stage is to its shard: state that records change, and what a flush has to write.

The shard owns position, transaction and loading; a stage never sees a broker. One stage object is
the state of one shard.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from cc_stream import contracts
from cc_stream.errors import CcStreamError
from cc_stream.events import Refused

POSITION_KEY = b"\x00position"
"""The changelog record that holds a shard's position; no key of a stage begins with a 0 byte."""


RESTORED_AT_ONCE = 100
"""How many records a stage takes in until it yields."""


class LossError(CcStreamError):
    """Records that were not counted are gone, or the topic was made anew: an operator decides."""


class Record(contracts.Record, Protocol):
    """A consumed record, as aiokafka's decoder makes it."""

    @property
    def offset(self) -> int:
        """Within the partition, from 0."""

    @property
    def key(self) -> bytes | None:
        """None where the producer gave none."""

    @property
    def timestamp(self) -> int:
        """Broker time, milliseconds UTC."""


class Placed(Struct, frozen=True):
    """A record and where it lay: what a dead letter says of it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def placed(record: Record, topic: str, partition: int) -> Placed:
    """The record of this partition."""
    return Placed(topic, partition, record.offset, record.key, record.value, record.headers)


class Write(Struct, frozen=True, gc=False):
    """One record of a flush. `partition` None: Kafka's default partitioner by key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Cut(Struct):
    """What one flush writes beside the position.

    `writes` is gone through once; they may be made meanwhile, but are of the moment of the cut.
    `memory` is stored with the position and given back to `Stage.restore`. `committed` is called
    once the transaction is.
    """

    writes: Iterable[Write]
    memory: dict[str, Any]
    committed: Callable[[], None]


class Stage(Protocol):
    """State of one shard. Any exception out of it ends the shard; a new one loads anew."""

    name: str

    @property
    def writes_to(self) -> Collection[str]:
        """The topics of its writes, beside the changelog of its shard."""

    @property
    def data_as_of_ms(self) -> int:
        """The latest event time that went in; 0 before the first."""

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """Take in the memory that came with the position, and the last value of each key.

        Called on a new stage, and not at all without a position. Yields after every few
        records: others are served then.
        """

    def started(self, generation_ms: int, offset: int) -> None:
        """Told when the shard is live: which remake of the topic, and the next offset."""

    def apply(self, records: Sequence[Record]) -> None:
        """Count records: each exactly once, in offset order, without a hole."""

    def bury(self, record: Record, refused: Refused) -> None:
        """Leave out a record that `apply` fails on: a dead letter in its place.

        Raises:
            CcStreamError: it cannot be left out.
        """

    def is_dirty(self, now_ms: int) -> bool:
        """Whether a flush has anything to write."""

    def hurry(self) -> None:
        """Nothing waits for its time any longer: the shard is about to be let go of."""

    def cut(self, now_ms: int) -> Cut:
        """Take everything that has to be written. If the transaction fails, the state is lost."""

"""From what happens on the floor to what arrives: event text, faults, order of arrival."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, Literal, Union

import msgspec
from msgspec import Struct

from cc_stream.events import ALL_EVENTS, DEFAULT_TENANT, Event, to_rfc3339
from cc_stream.simulate.bad import bad_payload
from cc_stream.simulate.plan import SimulationSettings, seeded

TopicName = Literal["calls", "agents", "reference"]
FaultName = Literal["disorder", "duplicate", "bad"]
_DECODER: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(
    Union[ALL_EVENTS]  # noqa: UP007 - a union of a tuple has no other form
)
NEVER_MS: Final = 1 << 60


class Arrival(Struct, frozen=True, gc=False):
    """One record as it arrives at a topic: at `at_ms` (UTC), never before it happened.

    `key` and `value` are what is written to Kafka; `value` is one line of CloudEvents JSON unless
    `fault` is `bad`. `fault` names what was done to it on its way; consumers do not see it.
    """

    at_ms: int
    topic: TopicName
    key: bytes
    value: bytes
    fault: FaultName | None = None


def event_of(arrival: Arrival) -> Event | None:
    """The event that an arrival carries; None for a bad payload."""
    if arrival.fault == "bad":
        return None
    return _DECODER.decode(arrival.value)


class Outbox:
    """Collects events in the order in which they happen and hands them out as they arrive.

    Faults have a random stream of their own: the same floor happens with and without them.
    """

    def __init__(self, settings: SimulationSettings, run: str) -> None:
        faults = settings.faults
        tenant = "" if settings.tenant == DEFAULT_TENANT else f'"tenant":"{settings.tenant}",'
        self._head = f'{{"specversion":"1.0","source":"{settings.source}",{tenant}"id":"'
        self._source = settings.source
        self._run = run
        self._random = seeded(settings, "faults")
        self._bad_below = faults.bad
        self._duplicate_below = faults.bad + faults.duplicates
        self._disorder_below = faults.bad + faults.duplicates + faults.disorder
        self._longest_ms = max(1, int(faults.disorder_seconds * 1000))
        self._ready: list[Arrival] = []
        self._delayed: list[tuple[int, int, Arrival]] = []
        self._count = 0
        self._second = -1
        self._prefix = ""

    def stamp(self, now_ms: int) -> str:
        """RFC 3339 of a time; the part down to the second is kept from the last call."""
        second, rest = divmod(now_ms, 1000)
        if second != self._second:
            self._second = second
            self._prefix = to_rfc3339(now_ms)[:20]
        return f"{self._prefix}{rest:03d}Z"

    def send(
        self,
        now_ms: int,
        topic: TopicName,
        subject: str,
        event_id: str,
        kind: str,
        data: str,
        attributes: str = "",
    ) -> None:
        """Emit an event that happens now.

        `kind` is its type without `cc.`; `data` is JSON; `attributes` are further ones of the
        envelope, each as JSON with a comma after it.
        """
        text = (
            f'{self._head}{event_id}","type":"cc.{kind}","time":"{self.stamp(now_ms)}",'
            f'"subject":"{subject}",{attributes}"data":{data}}}'
        )
        self._dispatch(now_ms, topic, subject.encode(), text.encode())

    def _dispatch(self, now_ms: int, topic: TopicName, key: bytes, value: bytes) -> None:
        chance = self._random.random()
        if chance >= self._disorder_below:
            self._ready.append(Arrival(now_ms, topic, key, value))
        elif chance >= self._duplicate_below:
            self._delay(now_ms, topic, key, value, "disorder")
        else:
            self._ready.append(Arrival(now_ms, topic, key, value))
            if chance >= self._bad_below:
                self._delay(now_ms, topic, key, value, "duplicate")
            else:
                self._add_bad(now_ms)

    def _delay(
        self, now_ms: int, topic: TopicName, key: bytes, value: bytes, fault: FaultName
    ) -> None:
        at = now_ms + 1 + int(self._random.random() * self._longest_ms)
        self._count += 1
        heappush(self._delayed, (at, self._count, Arrival(at, topic, key, value, fault)))

    def _add_bad(self, now_ms: int) -> None:
        self._count += 1
        event_id = f"{self._run}-bad-{self._count:x}"
        key, value = bad_payload(self._random, now_ms, self._source, event_id)
        self._ready.append(Arrival(now_ms, "calls", key.encode(), value, "bad"))

    def due(self, now_ms: int) -> Iterator[Arrival]:
        """What was delayed and arrives up to now, in order. Ask before more happens at `now_ms`."""
        while self._delayed and self._delayed[0][0] <= now_ms:
            yield heappop(self._delayed)[2]

    def next_due_ms(self) -> int:
        """When the next delayed record arrives; far away if there is none."""
        return self._delayed[0][0] if self._delayed else NEVER_MS

    def take_ready(self) -> list[Arrival]:
        """What has arrived at once since the last call."""
        ready = self._ready
        self._ready = []
        return ready

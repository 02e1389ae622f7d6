"""The stages behind the parsers, with one partition each: what decodes has to get through them."""

from collections.abc import Sequence
from typing import NamedTuple

from cc_stream.admit import Limits
from cc_stream.alerts import AlertLevels
from cc_stream.events import AGENT_EVENTS, REFERENCE_EVENTS, Event, key_of, to_ms
from cc_stream.reference import Terms
from cc_stream.topics import topics
from streams.board import Board, BoardPlan
from streams.floor import Agents, Calls, Copy, Plan
from streams.stage import Stage
from tests.fuzz.mutate import Headers
from tests.streams.topology import Kept, Seen

TOPICS = topics(calls=1, agents=1, board=1)
NOW_MS = 1_795_425_247_000
"""2026-11-23T09:14:07Z, about the time of the examples."""


class Given(NamedTuple):
    """A Kafka record as a parser gets it."""

    value: bytes | None
    headers: Headers


class Floor:
    """Four stages that are flushed after every chunk: all that leaves them has to be packed."""

    def __init__(self) -> None:
        plan = Plan(TOPICS, Limits(), Seen())
        self.calls, self.agents, self.copy = Calls(plan, 0), Agents(plan, 0), Copy(plan, 0)
        levels = AlertLevels()
        self.board = Board(BoardPlan(TOPICS, Terms(), levels, "60m", 1, 20, 0), 0, NOW_MS)
        for stage in (self.calls, self.agents, self.copy, self.board):
            stage.started(NOW_MS, 0)
        self.ends = {topic.name: 0 for topic in TOPICS}
        self.now_ms = NOW_MS

    def take(self, records: Sequence[tuple[Given, Event | None]], elsewhere: Sequence[int]) -> None:
        """Records with the events that they decode to (None: refused), each on its topic.

        The records of the indexes in `elsewhere` go to a topic on which they do not belong.
        """
        chunks: dict[str, list[Kept]] = {}
        for index, (given, event) in enumerate(records):
            names = (TOPICS.calls.name, TOPICS.agents.name, TOPICS.reference.name)
            own = 0
            if isinstance(event, AGENT_EVENTS):
                own = 1
            elif isinstance(event, REFERENCE_EVENTS) and index % 2:
                own = 2
            topic = names[(own + 1) % 3 if index in elsewhere else own]
            # The broker's clock is the event's as a rule: no time is then too far ahead.
            ms = self.now_ms if event is None or index == 0 else to_ms(event.time)
            key = b"k" if event is None else (key_of(event) or "k").encode()
            chunks.setdefault(topic, []).append(self._record(topic, ms, key, *given))
        for topic, stage in self._floor():
            if topic in chunks:
                stage.apply(chunks[topic])
        self._flush()

    def _floor(self) -> tuple[tuple[str, Stage], ...]:
        return (
            (TOPICS.calls.name, self.calls),
            (TOPICS.agents.name, self.agents),
            (TOPICS.reference.name, self.copy),
        )

    def _record(
        self, topic: str, ms: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Kept:
        self.ends[topic] += 1
        return Kept(topic, 0, self.ends[topic] - 1, ms, key, value, tuple(headers))

    def _flush(self) -> None:
        self.now_ms += 1_000
        deltas = []
        for _, stage in self._floor():
            for write in stage.cut(self.now_ms).writes:
                assert write.value is None or isinstance(write.value, bytes)
                if write.topic == TOPICS.deltas.name:
                    deltas.append(self._record(write.topic, self.now_ms, None, write.value, []))
        if deltas:
            self.board.apply(deltas)
            self.board.tick(self.now_ms)
            self.board.cut(self.now_ms).committed()

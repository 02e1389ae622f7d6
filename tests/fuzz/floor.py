"""The stages behind the parsers, with one partition each: what decodes has to get through them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cc_stream.admit import Limits
from cc_stream.agent import StateEntry
from cc_stream.alerts import AlertLevels
from cc_stream.events import AGENT_EVENTS, REFERENCE_EVENTS, Event, key_of, to_ms
from cc_stream.reference import Terms
from cc_stream.topics import topics
from streams.board import Board, BoardPlan
from streams.floor import Agents, Calls, Copy, Plan
from streams.stage import Stage, Write
from tests.fuzz.wire import Headers
from tests.streams.kafka import Kept
from tests.streams.topology import Seen

TOPICS = topics(calls=1, agents=1, board=1)
NOW_MS = 1_795_425_247_000
"""2026-11-23T09:14:07Z, about the time of the examples."""


class Given(NamedTuple):
    """A Kafka record as a parser gets it."""

    value: bytes | None
    headers: Headers


class Shard:
    """A stage with the state that it has written."""

    def __init__(self, stage: Stage, topic: str, changelog: str) -> None:
        self.stage, self.topic, self.changelog = stage, topic, changelog
        self.state: dict[bytes, bytes] = {}
        self.memory = b""
        stage.started(NOW_MS, 0)

    def flush(self, now_ms: int) -> list[Write]:
        """What goes to other topics; all of it, and the state, is bytes."""
        cut = self.stage.cut(now_ms)
        writes = list(cut.writes)
        for write in writes:
            assert write.value is None or isinstance(write.value, bytes)
            if write.topic == self.changelog and write.key is not None:
                self.state.pop(write.key, None)
                if write.value is not None:
                    self.state[write.key] = write.value
        self.memory = msgspec.msgpack.encode(cut.memory)
        cut.committed()
        return [write for write in writes if write.topic != self.changelog]

    def load_into(self, other: Stage) -> None:
        """Give another stage what a new owner would find."""
        if self.memory:
            memory = msgspec.msgpack.decode(self.memory)
            for _ in other.restore(memory, self.state.items()):
                pass


def board() -> Board:
    """A board whose every flush writes."""
    return Board(BoardPlan(TOPICS, Terms(), AlertLevels(), "60m", 1, 20, 0), 0, NOW_MS)


def timelines(agents: Agents) -> dict[tuple[str, str], list[StateEntry]]:
    """The states of each agent that has any: one whose every event was refused has none."""
    kept = agents.ledger.agents
    return {log: agent.entries for log, agent in kept.items() if agent.entries}


class Floor:
    """Four shards that are flushed after every chunk: all that leaves them has to be packed."""

    def __init__(self) -> None:
        self.plan = Plan(TOPICS, Limits(), Seen())
        self.calls, self.agents = Calls(self.plan, 0), Agents(self.plan, 0)
        self.board = board()
        self.shards = (
            Shard(self.calls, TOPICS.calls.name, TOPICS.contacts_changelog.name),
            Shard(self.agents, TOPICS.agents.name, TOPICS.agents_changelog.name),
            Shard(Copy(self.plan, 0), TOPICS.reference.name, TOPICS.reference_changelog.name),
        )
        self.boards = Shard(self.board, TOPICS.deltas.name, TOPICS.panes_changelog.name)
        self.ends = {topic.name: 0 for topic in TOPICS}
        self.now_ms = NOW_MS

    def take(self, records: Sequence[tuple[Given, Event | None]], elsewhere: Sequence[int]) -> None:
        """Records with the events that they decode to (None: refused), each on its topic.

        The records of the indexes in `elsewhere` go to a topic on which they do not belong.
        """
        chunks: dict[str, list[Kept]] = {}
        for index, (given, event) in enumerate(records):
            names = [shard.topic for shard in self.shards]
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
        for shard in self.shards:
            if shard.topic in chunks:
                shard.stage.apply(chunks[shard.topic])
        self._flush()

    def load_again(self) -> None:
        """What was written is what there is: a new owner has the same logs."""
        calls, agents = Calls(self.plan, 0), Agents(self.plan, 0)
        for shard, other in zip(self.shards, (calls, agents), strict=False):
            shard.load_into(other)
        self.boards.load_into(board())
        assert calls.ledger.contacts.keys() == self.calls.ledger.contacts.keys()
        for log in calls.ledger.contacts:
            now, then = calls.ledger.opened(log), self.calls.ledger.opened(log)
            assert now is not None
            assert then is not None
            assert (now.source, now.entries) == (then.source, then.entries)
        assert timelines(agents) == timelines(self.agents)
        for loaded, kept in ((calls, self.calls), (agents, self.agents)):
            assert sorted(loaded.ledger.reference.dump()) == sorted(kept.ledger.reference.dump())

    def _record(
        self, topic: str, ms: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Kept:
        self.ends[topic] += 1
        return Kept(topic, 0, self.ends[topic] - 1, ms, key, value, tuple(headers))

    def _flush(self) -> None:
        self.now_ms += 1_000
        deltas = [
            self._record(write.topic, self.now_ms, None, write.value, [])
            for shard in self.shards
            for write in shard.flush(self.now_ms)
            if write.topic == TOPICS.deltas.name
        ]
        if deltas:
            self.board.apply(deltas)
            self.board.tick(self.now_ms)
            self.boards.flush(self.now_ms)

"""A record has one open letter at most, over any replays; the report knows the same ones."""

import json
from typing import TYPE_CHECKING

import pytest

from cc_stream.admit import Limits
from cc_stream.contracts import decode_one
from cc_stream.events import to_rfc3339
from cc_stream.partitioner import partition_of
from cc_stream.report.collect import Collected, Reader
from tests.streams.kafka import Kept
from tests.streams.topology import Seen, World

if TYPE_CHECKING:
    from streams.stage import Write

NOW_MS = 1_795_500_000_000
AHEAD_MS = 3_600_000
NAME = "a-1"
"""Of the contact or agent; it belongs into the partition."""
ROSTER = {"entity": NAME, "valid_from": to_rfc3339(0), "fields": {"team": "north"}}
DATA = {
    "calls": ("cc.call.queued.v1", {"contact_id": NAME, "queue": "sales"}),
    "agents": ("cc.agent.state_changed.v1", {"agent_id": NAME, "state": "available"}),
    "reference": ("cc.roster.updated.v1", ROSTER),
}


class Line:
    """The stage of one partition, its topic, and the letters that it has written."""

    def __init__(self, topic: str) -> None:
        self.world = World(NOW_MS)
        self.topic = getattr(self.world.topics, topic)
        self.partition = partition_of(NAME.encode(), self.topic.partitions)
        self.stage = self.world.stage(self.topic.name, self.partition)
        self.records: list[Kept] = []
        self.letters: list[Write] = []
        kind, data = DATA[topic]
        good = {"id": "1", "source": "/pbx", "time": to_rfc3339(NOW_MS), "type": kind, "data": data}
        self.good = json.dumps(good).encode()
        self.ahead = json.dumps({**good, "time": to_rfc3339(NOW_MS + AHEAD_MS)}).encode()

    @property
    def seen(self) -> Seen:
        return self.world.seen

    def take(self, value: bytes, at_ms: int = NOW_MS, of: int | None = None, times: int = 1) -> int:
        """One more record, a replay if `of` is the offset of another; its offset."""
        offset = len(self.records)
        provenance = (("cc_replay_of", self.key(of)), ("cc_replays", b"%d" % times))
        headers = (("traceparent", b"7"), *(() if of is None else provenance))
        key = NAME.encode()
        place = (self.topic.name, self.partition, offset)
        self.records.append(Kept(*place, at_ms, key, value, headers))
        self.stage.apply(self.records[-1:])
        letters = self.world.topics.dead_letters.name
        self.letters += [w for w in self.stage.cut(NOW_MS).writes if w.topic == letters]
        return offset

    def key(self, offset: int | None) -> bytes:
        return f"{self.topic.name}/{self.partition}/{offset}".encode()

    def open(self) -> dict[bytes, tuple[str, int]]:
        """Key, rule and replays of the letters that are open."""
        newest = {letter.key: letter for letter in self.letters}
        return {
            key: (headers["cc_rule"].decode(), int(headers.get("cc_replays") or b"0"))
            for key, letter in newest.items()
            if key is not None and letter.value is not None
            for headers in [{name: content or b"" for name, content in letter.headers}]
        }

    def reported(self) -> Collected:
        """What the report makes of the same records."""
        into = Collected(Limits())
        reader = Reader(into, (self.partition, self.topic.partitions))
        take = reader.take_agent if self.topic is self.world.topics.agents else reader.take_call
        for record in self.records:
            event, _ = decode_one(record.value, record.headers)
            take(event, record.key, record.timestamp, record)
        return into


@pytest.fixture(params=list(DATA))
def line(request: pytest.FixtureRequest) -> Line:
    return Line(request.param)


def test_replayed_in_vain_there_is_still_one_letter_and_it_says_so(line: Line) -> None:
    first = line.take(b"{")
    assert line.open() == {line.key(first): ("not_json", 0)}
    line.take(b"{", of=first)
    line.take(b"[]", of=first, times=2)
    assert line.open() == {line.key(first): ("not_object", 2)}
    assert {letter.key for letter in line.letters} == {line.key(first)}
    assert line.seen.refused.total() == 3


def test_replayed_and_counted_the_letter_is_closed_for_good(line: Line) -> None:
    first, other = line.take(b"{"), line.take(b"[]")
    line.take(line.good, of=first)
    assert line.open() == {line.key(other): ("not_object", 0)}
    line.take(line.good, of=first)
    assert line.open() == {line.key(other): ("not_object", 0)}
    assert [letter.value for letter in line.letters[2:]] == [None, None]


def test_good_records_close_nothing(line: Line) -> None:
    line.take(line.good)
    line.take(line.good)
    assert line.letters == []


@pytest.mark.parametrize("topic", ["calls", "agents"])
def test_the_future_counts_once_it_is_now_and_the_report_agrees(topic: str) -> None:
    line = Line(topic)
    first = line.take(line.ahead)
    in_vain = line.take(line.ahead, of=first)
    assert line.open() == {line.key(first): ("future", 1)}
    assert line.reported().letters == {line.key(first): "future"}
    for at_ms in (NOW_MS + AHEAD_MS, NOW_MS + 2 * AHEAD_MS):
        line.take(line.ahead, at_ms, of=first, times=in_vain + 1)
    assert line.open() == {}
    assert (line.seen.kinds["Admitted"], line.seen.kinds["Repeated"]) == (1, 1)
    reported = line.reported()
    assert (reported.letters, reported.repeated) == ({}, 1)


def test_a_copy_of_replayed_reference_data_closes_nothing_where_it_is_copied_to() -> None:
    line = Line("reference")
    first = line.take(b"{")
    line.take(line.good, of=first)
    stage = line.world.stage(line.world.topics.calls.name, 0)
    topic = line.world.topics.calls.name
    stage.apply([line.records[-1]._replace(topic=topic, partition=0, offset=9)])
    letters = line.world.topics.dead_letters.name
    assert [write for write in stage.cut(NOW_MS).writes if write.topic == letters] == []
    assert line.seen.kinds["Learned"] == 2

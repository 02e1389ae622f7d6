"""What the report says of every record, and the dead letters that it expects."""

from collections.abc import Sequence
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from cc_stream.contracts import decode_one
from cc_stream.dead_letters import RULE_IDS
from cc_stream.events import REFERENCE_EVENTS, Refused
from cc_stream.installation import limits_of
from cc_stream.report.collect import Collected, Reader
from streams.broker import read_partition
from tests.chaos.floor import Floor
from tests.chaos.worker import DEFECT, UNDECODABLE

POISON: Final = "poison"

Letters = dict[str, str]
"""`topic/partition/offset` → the rule."""


async def collect(floor: Floor) -> tuple[Collected, Letters, int]:
    """The logs of what counts, the letters of what does not, and how many records there are."""
    into, letters, count = Collected(limits_of(floor.settings)), Letters(), 0
    for topic in (floor.topics.calls, floor.topics.agents, floor.topics.reference):
        for partition in range(topic.partitions):
            reader = Reader(into, (partition, topic.partitions))
            place = TopicPartition(topic.name, partition)
            async for records in read_partition(floor.broker, place):
                for record in records:
                    rule = _rule(floor, reader, record)
                    if rule is not None:
                        letters[place_of(record)] = rule
                count += len(records)
    return into, letters, count


def place_of(record: ConsumerRecord) -> str:
    """The key of a record's dead letter."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def _rule(floor: Floor, reader: Reader, record: ConsumerRecord) -> str | None:
    """By which rule the record is not counted; None if it is."""
    if UNDECODABLE in (record.value or b"") or DEFECT.encode() in (record.key or b""):
        return POISON
    event = decode_one(record.value, record.headers)[0]
    if record.topic == floor.topics.reference.name:
        if isinstance(event, Refused):
            return event.rule
        return None if isinstance(event, REFERENCE_EVENTS) else "wrong_topic"
    take = reader.take_call if record.topic == floor.topics.calls.name else reader.take_agent
    refused = take(event, record.key, record.timestamp)
    return refused.rule if refused else None


def written_letters(records: Sequence[ConsumerRecord]) -> dict[str, list[str]]:
    """The rules of the letters of each place, as they lie on the topic; one place has one."""
    letters: dict[str, list[str]] = {}
    for record in records:
        headers = dict(record.headers)
        rule = headers["cc_rule"].decode()
        assert rule in RULE_IDS, rule
        letters.setdefault(record.key.decode(), []).append(rule)
    return letters

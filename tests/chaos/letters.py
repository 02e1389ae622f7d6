"""What the report says of every record, and the dead letters that it expects."""

from collections.abc import Sequence
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from cc_stream.contracts import decode_one
from cc_stream.dead_letters import RULE_IDS, letter_key
from cc_stream.events import REFERENCE_EVENTS, Refused
from cc_stream.installation import limits_of
from cc_stream.report.collect import Collected, Reader
from tests.chaos.floor import Floor
from tests.chaos.worker import DEFECT, UNDECODABLE

POISON: Final = "poison"

Letters = dict[str, str]
"""`topic/partition/offset` → the rule."""


async def collect(floor: Floor) -> tuple[Collected, Letters, int]:
    """The logs of what counts, the letters of what does not, and how many records there are."""
    into, poison, count = Collected(limits_of(floor.settings)), Letters(), 0
    for topic in (floor.topics.calls, floor.topics.agents, floor.topics.reference):
        for partition in range(topic.partitions):
            reader = Reader(into, (partition, topic.partitions))
            place = TopicPartition(topic.name, partition)
            for record in await floor.records_of(place):
                count += 1
                if is_poison(record):
                    poison[letter_key(record).decode()] = POISON
                else:
                    _take(floor, into, reader, record)
    return into, {key.decode(): rule for key, rule in into.letters.items()} | poison, count


def is_poison(record: ConsumerRecord) -> bool:
    """Whether a bug of `tests.chaos.worker` is hit by it."""
    return UNDECODABLE in (record.value or b"") or DEFECT.encode() in (record.key or b"")


def _take(floor: Floor, into: Collected, reader: Reader, record: ConsumerRecord) -> None:
    event = decode_one(record.value, record.headers)[0]
    if record.topic == floor.topics.calls.name:
        reader.take_call(event, record.key, record.timestamp, record)
    elif record.topic == floor.topics.agents.name:
        reader.take_agent(event, record.key, record.timestamp, record)
    elif isinstance(event, Refused):
        into.refuse(event.rule, record)
    elif not isinstance(event, REFERENCE_EVENTS):
        into.refuse("wrong_topic", record)


def written_letters(records: Sequence[ConsumerRecord]) -> dict[str, list[str]]:
    """The rules of the letters of each place, as they lie on the topic; one place has one."""
    letters: dict[str, list[str]] = {}
    for record in records:
        headers = dict(record.headers)
        rule = headers["cc_rule"].decode()
        assert rule in RULE_IDS, rule
        letters.setdefault(record.key.decode(), []).append(rule)
    return letters

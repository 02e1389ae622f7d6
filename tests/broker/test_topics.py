"""Topics on a real broker: made once, and every difference found."""

import asyncio

import msgspec
import pytest

from cc_stream.local.kafka import KafkaServer
from cc_stream.topics import Finding, TopicError, check, provision, topics


def test_provision_is_idempotent_and_what_it_makes_is_right(
    kafka: KafkaServer, unique_name: str
) -> None:
    async def scenario() -> None:
        wanted = topics(unique_name, calls=3, agents=1, board=2)
        assert {f.what for f in await check(kafka.bootstrap, wanted)} == {"missing"}
        made = await provision(kafka.bootstrap, wanted)
        assert made == [topic.name for topic in wanted]
        assert await provision(kafka.bootstrap, wanted) == []
        assert await check(kafka.bootstrap, wanted) == []

    asyncio.run(scenario())


def test_check_names_what_is_wrong(kafka: KafkaServer, unique_name: str) -> None:
    async def scenario() -> list[Finding]:
        wanted = topics(unique_name, calls=2)
        other = msgspec.structs.replace(wanted.calls, partitions=1, config={})
        made = msgspec.structs.replace(wanted, calls=other)
        await provision(kafka.bootstrap, made, replication=1)
        return await check(kafka.bootstrap, wanted)

    name = f"{unique_name}.calls.v1"
    assert asyncio.run(scenario()) == [
        Finding(name, "partitions", "2", "1"),
        Finding(name, "message.timestamp.type", "LogAppendTime", "CreateTime"),
    ]


def test_a_refused_topic_is_one_clear_error(kafka: KafkaServer, unique_name: str) -> None:
    with pytest.raises(TopicError, match="could not be made"):
        asyncio.run(provision(kafka.bootstrap, topics(unique_name), replication=7))


def test_no_broker_is_one_clear_error(unique_name: str) -> None:
    with pytest.raises(TopicError, match=r"Kafka at 127\.0\.0\.1:1:"):
        asyncio.run(check("127.0.0.1:1", topics(unique_name)))

"""The report over topics of a real broker: committed records only, each partition to its end."""

import asyncio
import io
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from cc_stream.admit import Limits
from cc_stream.contracts import encode
from cc_stream.events import AGENT_EVENTS, Event, key_of, to_ms
from cc_stream.local.kafka import KafkaServer
from cc_stream.report.command import ask_of, report_topics
from cc_stream.report.topic import ReadError, collect_topics, last_values
from cc_stream.topics import Topics, provision, topics
from tests.report.feed import Feed
from tests.report.test_contacts import transferred

LATE = Limits(future_ms=1 << 50)


async def send(
    producer: AIOKafkaProducer, wanted: Topics, events: list[Event], *, commit: bool
) -> None:
    await producer.begin_transaction()
    for event in events:
        key = key_of(event)
        if key is None:  # reference data lies in every partition
            places = [
                (t.name, p) for t in (wanted.calls, wanted.agents) for p in range(t.partitions)
            ]
            for name, partition in places:
                await producer.send_and_wait(name, encode(event), None, partition)
        else:
            topic = wanted.agents if isinstance(event, AGENT_EVENTS) else wanted.calls
            await producer.send_and_wait(topic.name, encode(event), key.encode())
    await (producer.commit_transaction() if commit else producer.abort_transaction())


def test_topics_are_reported_as_they_were_admitted(kafka: KafkaServer, unique_name: str) -> None:
    wanted = topics(unique_name, calls=2, agents=1)
    feed = transferred().state(0, "available").state(60, "break")
    aborted = [replace(event, id=f"aborted-{event.id}") for event in feed.events]

    async def scenario() -> list[dict[str, Any]]:
        await provision(kafka.bootstrap, wanted)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=unique_name)
        await producer.start()
        await send(producer, wanted, feed.events, commit=True)
        await send(producer, wanted, feed.events[:4], commit=True)  # the same events again
        await producer.begin_transaction()
        await producer.send_and_wait(wanted.calls.name, b"{", b"c")
        await producer.commit_transaction()
        await send(producer, wanted, aborted, commit=False)
        await producer.stop()
        out, errors = io.StringIO(), io.StringIO()
        ask = ask_of(by="agent")
        await report_topics(kafka.bootstrap, wanted, LATE, ask, "json", out, errors)
        assert errors.getvalue() == "not counted: not_json 1\n"
        lines: list[dict[str, Any]] = json.loads(out.getvalue())
        return lines

    lines = asyncio.run(scenario())
    assert {line["lateness"] for line in lines} == {"7200s"}
    from_topics = {line["id"]: line["metrics"] for line in lines}
    assert from_topics == {line.entity.id: line.metrics for line in feed.lines(by="agent")}


def test_what_is_too_far_ahead_or_behind_is_a_dead_letter(
    kafka: KafkaServer, unique_name: str
) -> None:
    wanted = topics(unique_name, calls=1, agents=1)
    feed = Feed().queued(0, "early").queued(10_000, "late").queued(1, "too-late")

    async def scenario() -> dict[str, int]:
        await provision(kafka.bootstrap, wanted)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
        await producer.start()
        for event in feed.events:
            key = (key_of(event) or "").encode()
            await producer.send_and_wait(wanted.calls.name, encode(event), key)
        await producer.stop()
        collected = await collect_topics(kafka.bootstrap, wanted, LATE)
        assert collected.latest_ms == to_ms(feed.events[1].time)
        return dict(collected.refused)

    assert asyncio.run(scenario()) == {"late": 1}


def test_the_last_value_of_each_key(kafka: KafkaServer, unique_name: str) -> None:
    wanted = topics(unique_name, calls=2)

    async def scenario() -> dict[bytes, bytes]:
        await provision(kafka.bootstrap, wanted)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
        await producer.start()
        for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None)):
            await producer.send_and_wait(wanted.contacts.name, value, key)
        await producer.stop()
        return await last_values(kafka.bootstrap, wanted.contacts.name)

    assert asyncio.run(scenario()) == {b"a": b"2"}


def test_a_missing_topic_and_no_broker_are_one_clear_line(
    kafka: KafkaServer, unique_name: str
) -> None:
    with pytest.raises(ReadError, match=f"topic {unique_name}.calls.v1 is not at"):
        asyncio.run(collect_topics(kafka.bootstrap, topics(unique_name), LATE))
    with pytest.raises(ReadError, match=r"Kafka at 127\.0\.0\.1:1"):
        asyncio.run(collect_topics("127.0.0.1:1", topics(unique_name), LATE))

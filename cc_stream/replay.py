"""Dead letters that are open, and their records back to where they came from.

A record goes to its own topic and partition with its own key, value and headers, and says of which
letter it is the replay. What comes of it decides the floor, in its transaction: it closes the
letter, or writes it anew.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Struct

from cc_stream.dead_letters import CUT, KEPT, REPLAY_OF, REPLAYS
from cc_stream.errors import CcStreamError
from cc_stream.report.topic import Security, Told, records_of
from cc_stream.topics import Topics

IN_VAIN: Final[Mapping[str, str]] = {
    "late": "it would be late again: the stream time of its source does not go back",
    "contact_gone": "the log of its contact is gone: it would count a second time",
    "tombstone": "it has no value that could count",
}
"""The rules that a replay breaks again, whatever was mended, and why."""

Place = tuple[int, int]
"""(partition, offset) on the topic of the letters."""


class ReplayError(CcStreamError):
    """Kafka did not take a record; what was sent before it is sent."""


class OpenLetter(Struct, frozen=True):
    """An open letter without the bytes of its record."""

    key: str
    rule: str
    path: str
    detail: str
    topic: str
    partition: int
    offset: int
    bytes: int
    """How long the kept value is."""
    cut: str
    """What was too long to be kept whole; empty if nothing was."""
    replays: int
    """How often it was replayed in vain."""
    written_ms: int
    """When it was refused, the last time if it was replayed."""
    place: Place


class Letters(Struct, frozen=True):
    """The open letters, oldest first, and how many others were closed by a replay."""

    letters: list[OpenLetter]
    closed: int


async def open_letters(
    bootstrap: str, topics: Topics, security: Security = None, told: Told | None = None
) -> Letters:
    """Every open letter. What lies on the topic and is no letter is left out.

    Raises:
        ReadError: the topic cannot be read to its end.
    """
    newest: dict[bytes, OpenLetter | None] = {}
    async for records in records_of(bootstrap, topics.dead_letters.name, security, told):
        for record in records:
            if record.key is None:
                continue
            if record.value is None:
                newest[record.key] = None
            elif (found := _letter_of(record)) is not None:
                newest[record.key] = found
    letters = [found for found in newest.values() if found is not None]
    letters.sort(key=lambda found: found.place)
    return Letters(letters, len(newest) - len(letters))


def _letter_of(record: Any) -> OpenLetter | None:
    text = {name: (content or b"").decode(errors="replace") for name, content in record.headers}
    try:
        return OpenLetter(
            record.key.decode(),
            text["cc_rule"],
            text.get("cc_path", ""),
            text.get("cc_detail", ""),
            text["cc_topic"],
            int(text["cc_partition"]),
            int(text["cc_offset"]),
            len(record.value),
            text.get(CUT, ""),
            int(text.get(REPLAYS, "0")),
            record.timestamp,
            (record.partition, record.offset),
        )
    except (KeyError, ValueError, AttributeError):
        return None


def why_not(letter: OpenLetter, topics: Topics) -> str | None:
    """Why a replay of the letter would be in vain or would be another record; None if it can be."""
    partitions = {
        topic.name: topic.partitions for topic in (topics.calls, topics.agents, topics.reference)
    }
    if letter.topic not in partitions:
        return "it is no record of an event topic: mend its file or its source"
    if not 0 <= letter.partition < partitions[letter.topic]:
        return "there is no such partition"
    if letter.cut:
        return f"not all of it was kept: {letter.cut}"
    return IN_VAIN.get(letter.rule)


async def record_of(
    bootstrap: str, topics: Topics, letter: OpenLetter, security: Security = None
) -> Any:
    """The letter as it lies on its topic (aiokafka's `ConsumerRecord`).

    Raises:
        ReadError: the topic cannot be read to its end.
        ReplayError: the letter is gone.
    """
    kept = None
    async for records in records_of(bootstrap, topics.dead_letters.name, security):
        for record in records:
            if (record.partition, record.offset) == letter.place:
                kept = record
    if kept is None:
        raise ReplayError(f"letter {letter.key}: is gone")
    return kept


async def replay(
    bootstrap: str,
    topics: Topics,
    letters: list[OpenLetter],
    security: Security = None,
    told: Callable[[int, int], None] | None = None,
) -> int:
    """Send the records of letters for which `why_not` is None; how many were sent.

    Less than asked for, if letters have gone meanwhile. `told` hears (sent, of all).

    Raises:
        ReadError: the topic of the letters cannot be read.
        ReplayError: Kafka did not take a record.
    """
    wanted = {letter.place: letter for letter in letters}
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, **(security or {})
    )
    sent = 0
    try:
        await producer.start()
        async for records in records_of(bootstrap, topics.dead_letters.name, security):
            acknowledged = [
                await _send(producer, wanted[place], record)
                for record in records
                if (place := (record.partition, record.offset)) in wanted
            ]
            await asyncio.gather(*acknowledged)
            sent += len(acknowledged)
            if told is not None:
                told(sent, len(wanted))
    except (KafkaError, OSError, TimeoutError, AssertionError) as error:  # asserts its arguments
        text = f"Kafka at {bootstrap}: {error or type(error).__name__}"
        raise ReplayError(f"{text}; {sent} of {len(wanted)} were sent") from error
    finally:
        await producer.stop()
    return sent


async def _send(
    producer: AIOKafkaProducer, letter: OpenLetter, record: Any
) -> "asyncio.Future[Any]":
    headers = [
        (name.removeprefix(KEPT), content)
        for name, content in record.headers
        if name.startswith(KEPT)
    ]
    headers += [(REPLAY_OF, record.key), (REPLAYS, b"%d" % (letter.replays + 1))]
    key = dict(record.headers).get("cc_key")
    sending: asyncio.Future[Any] = await producer.send(
        letter.topic, record.value, key, letter.partition, headers=headers
    )
    return sending

"""Bad input on the real broker: a dead letter with its reason, counted, and all else goes on.

Each row of the table is written between two good records of the same partition. One worker reads
all of it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count

import pytest
from aiokafka import ConsumerRecord
from msgspec import Struct

from cc_stream.dead_letters import MAX_VALUE_BYTES, RULE_IDS
from cc_stream.events import to_rfc3339
from cc_stream.local.kafka import KafkaServer
from cc_stream.local.redis import RedisServer
from cc_stream.partitioner import partition_of
from cc_stream.report.compare import Comparison
from cc_stream.simulate.kafka import wall_clock_ms
from cc_stream.view import View
from tests.broker.floor import Floor, Sent, configured, event, headers_of, open_floor

HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
PARTITION = 0
CALLS, AGENTS = 2, 2
MORE_THAN_KAFKA_LIKES = 900 * 1024


class At(Struct, frozen=True):
    """What a row may speak of: now, its own source, and the contact or agent that came before."""

    now_ms: int
    source: str
    id: str
    """Of the good record before; it belongs into the partition."""
    before: str


class Row(Struct, frozen=True):
    """A bad record: what breaks which rule, and where."""

    name: str
    rule: str
    path: str
    value: Callable[[At], bytes | None]
    key: Callable[[At], str | None] = lambda at: at.id
    topic: str = "calls"
    headers: tuple[tuple[str, bytes], ...] = ()


def in_partition(name: str, wanted: int = PARTITION, partitions: int = CALLS) -> str:
    """A key that Kafka's partitioner puts there."""
    names = (f"{name}-{number}" for number in count())
    return next(key for key in names if partition_of(key.encode(), partitions) == wanted)


def call(
    at: At, kind: str = "call.queued.v1", ms: int | None = None, **data: object
) -> dict[str, object]:
    """An event of a new contact, to be spoiled."""
    fields = {"contact_id": at.id, "queue": "never", **data}
    good = event(kind, at.now_ms if ms is None else ms, fields, source=at.source)
    made: dict[str, object] = json.loads(good)
    return made


def state(at: At, kind: str = "agent.state_changed.v1", **data: object) -> bytes:
    """A state of an agent, to be spoiled."""
    fields = {"agent_id": at.id, "state": "available", "team": "never", **data}
    return event(kind, at.now_ms, fields, source=at.source)


def text(document: dict[str, object], **attributes: object) -> bytes:
    return json.dumps({**document, **attributes}).encode()


def without_contact(at: At) -> bytes:
    return text(call(at), data={"queue": "never"})


def other(at: At) -> str:
    return in_partition(f"{at.id}-other")


ROWS = (
    # The issue's own list.
    Row("not-json", "not_json", "", lambda at: text(call(at))[:-9]),
    Row("wrong-type", "wrong_type", "$.data.queue", lambda at: text(call(at, queue=17))),
    Row("missing-contact-id", "missing_field", "$.data.contact_id", without_contact),
    Row(
        "time-without-offset", "time_without_offset", "$.time",
        lambda at: text(call(at), time=to_rfc3339(at.now_ms)[:-1]),
    ),
    Row("far-future", "future", "$.time", lambda at: text(call(at, ms=at.now_ms + 10 * YEAR_MS))),
    Row(
        "900-kb", "too_large", "",
        lambda at: text(call(at), dataschema="x" * MORE_THAN_KAFKA_LIKES),
    ),
    Row("unknown-type", "unknown_type", "$.type", lambda at: text(call(at, "call.teleported.v1"))),
    Row("unknown-major", "unknown_version", "$.type", lambda at: text(call(at, "call.queued.v9"))),
    Row("tombstone", "tombstone", "", lambda _at: None),
    Row("other-key", "key_mismatch", "$.data.contact_id", lambda at: text(call(at)), other),
    # The rest of the rules.
    Row("no-key", "key_mismatch", "$.data.contact_id", lambda at: text(call(at)), lambda _at: None),
    Row("not-utf-8", "not_json", "", lambda at: text(call(at)).replace(b"never", b"\xff\xfe")),
    Row("empty", "not_json", "", lambda _at: b""),
    Row("list", "not_object", "", lambda at: b"[%s]" % text(call(at))),
    Row("two-objects", "not_json", "", lambda at: text(call(at)) + b"\n" + text(call(at))),
    Row("empty-name", "bad_value", "$.data.queue", lambda at: text(call(at, queue=""))),
    Row("no-time", "time_missing", "$.time", lambda at: text(call(at, ms=1))),
    Row(
        "other-subject", "subject_mismatch", "$.subject", lambda at: text(call(at), subject="else")
    ),
    Row(
        "wrong-partition", "wrong_partition", "",
        lambda at: text(call(at, contact_id=in_partition(at.id, 1))),
        lambda at: in_partition(at.id, 1),
    ),
    Row("late", "late", "$.time", lambda at: text(call(at, ms=at.now_ms - 3 * HOUR_MS))),
    Row(
        "gone", "contact_gone", "$.data.contact_id",
        lambda at: text(call(at, "call.answered.v1", agent_id="a", wait_ms=7 * HOUR_MS)),
    ),
    Row(
        "id-conflict", "id_conflict", "$.id",
        lambda at: text(call(at, contact_id=at.before), id=at.before),
        lambda at: at.before,
    ),
    Row("agent-on-calls", "wrong_topic", "$.type", state),
    Row(
        "binary", "missing_field", "$.type", lambda _at: b"{}", headers=(("ce_id", b"1"),),
    ),
    # The other topics.
    Row("agent-not-json", "not_json", "", lambda at: state(at)[1:], topic="agents"),
    Row(
        "agent-state", "bad_value", "$.data.state", lambda at: state(at, state="asleep"),
        topic="agents",
    ),
    Row("agent-other-key", "key_mismatch", "$.data.agent_id", state, other, topic="agents"),
    Row("agent-tombstone", "tombstone", "", lambda _at: None, topic="agents"),
    Row("call-on-agents", "wrong_topic", "$.type", lambda at: text(call(at)), topic="agents"),
    Row("reference-not-json", "not_json", "", lambda _at: b"{", topic="reference"),
    Row("reference-tombstone", "tombstone", "", lambda _at: None, topic="reference"),
    Row(
        "reference-entity", "missing_field", "$.data.entity", topic="reference",
        value=lambda at: event("queue.configured.v1", at.now_ms, {"fields": {}}),
    ),
    Row("call-as-reference", "wrong_topic", "$.type", lambda at: text(call(at)), topic="reference"),
)  # fmt: skip
UNKNOWN_FIELDS = {"level": 7, "mood": "good"}
"""Beside the data and in them: twice each, in two records."""


def neighbours(floor: Floor, row: Row, now_ms: int) -> tuple[Sent, At, Sent]:
    """Good records before and behind a row, and what the row may speak of."""
    first, second = (in_partition(f"{row.name}-{n}") for n in ("before", "behind"))
    source = f"/{row.name}"
    at = At(now_ms, source, in_partition(f"{row.name}-bad"), first)
    if row.topic == "reference":
        terms = {"service_level_seconds": 33}
        return configured(floor, first, terms, now_ms), at, configured(floor, second, terms, now_ms)
    sent = []
    for name in (first, second):
        if row.topic == "calls":
            data = {"contact_id": name, "queue": row.name}
            value = event("call.queued.v1", now_ms, data, source=source, id=name)
        else:
            data = {"agent_id": name, "state": "available", "team": row.name}
            value = event("agent.state_changed.v1", now_ms, data, source=source, id=name)
        topic = floor.topics.calls if row.topic == "calls" else floor.topics.agents
        sent.append(Sent(topic.name, name.encode(), value, PARTITION))
    return sent[0], at, sent[1]


def bad_record(floor: Floor, row: Row, at: At) -> Sent:
    key = row.key(at)
    topic = getattr(floor.topics, row.topic).name
    packed = None if key is None else key.encode()
    return Sent(topic, packed, row.value(at), PARTITION, row.headers)


class Told(Struct, frozen=True):
    """What came of it."""

    floor: Floor
    sent: dict[str, Sent]
    places: dict[str, tuple[int, int]]
    letters: dict[str, ConsumerRecord]
    views: dict[tuple[str, str, str], View]
    compared: Comparison


@pytest.fixture(scope="module")
def told(
    kafka: KafkaServer, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("bad-input")
    with open_floor(
        "bad-input", folder, kafka.bootstrap, redis_server.url,
        calls_partitions=CALLS, agents_partitions=AGENTS, board_partitions=2,
    ) as floor:  # fmt: skip
        now_ms = wall_clock_ms()
        floor.worker()
        floor.wait_owned()
        records: list[Sent] = []
        indexes: dict[str, int] = {}
        for row in ROWS:
            before, at, behind = neighbours(floor, row, now_ms)
            indexes[row.name] = len(records) + 1
            records += [before, bad_record(floor, row, at), behind]
        records += newer_producer(floor, now_ms)
        places = floor.write(records)
        compared = floor.compared()
        yield Told(
            floor,
            {name: records[index] for name, index in indexes.items()},
            {name: places[index] for name, index in indexes.items()},
            {letter.key.decode(): letter for letter in floor.read(floor.topics.dead_letters)},
            {(v.entity.kind, v.entity.id, v.window): v for v in floor.views()},
            compared,
        )


def newer_producer(floor: Floor, now_ms: int) -> list[Sent]:
    """Good records with fields that nobody knows, and contacts in the queues of reference data."""
    sent = []
    for number in range(2):
        contact = in_partition(f"newer-{number}")
        data = {"contact_id": contact, "queue": "newer", **UNKNOWN_FIELDS}
        value = event("call.queued.v1", now_ms, data, **UNKNOWN_FIELDS)
        sent.append(Sent(floor.topics.calls.name, contact.encode(), value, PARTITION))
    for row in ROWS:
        if row.topic == "reference":
            for name in ("before", "behind"):
                queue = in_partition(f"{row.name}-{name}")
                contact = in_partition(f"in-{queue}")
                data = {"contact_id": contact, "queue": queue}
                value = event("call.queued.v1", now_ms, data)
                sent.append(Sent(floor.topics.calls.name, contact.encode(), value, PARTITION))
    return sent


def test_the_table_has_every_rule() -> None:
    # A full log takes many records: tests/core/test_bounds.py. Poison is no input that is known.
    assert {row.rule for row in ROWS} == RULE_IDS - {"log_full", "poison"}
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_bad_record_becomes_a_dead_letter(told: Told, row: Row) -> None:
    sent, (partition, offset) = told.sent[row.name], told.places[row.name]
    letter = told.letters[f"{sent.topic}/{partition}/{offset}"]
    headers = headers_of(letter)
    assert (headers["cc_rule"], headers["cc_path"]) == (row.rule, row.path)
    where = headers["cc_topic"], headers["cc_partition"], headers["cc_offset"]
    assert where == (sent.topic, str(partition), str(offset))
    assert headers.get("cc_key") == (None if sent.key is None else sent.key.decode())
    value = sent.value or b""
    assert letter.value == value[:MAX_VALUE_BYTES]
    is_cut = len(value) > MAX_VALUE_BYTES
    assert headers.get("cc_sha256") == (sha256(value).hexdigest() if is_cut else None)
    assert headers.get("cc_length") == (str(len(value)) if is_cut else None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_before_and_behind_it_counts(told: Told, row: Row) -> None:
    if row.topic == "calls":
        metrics = told.views["queue", row.name, "60m"].metrics
        assert metrics["offered"] == 2
        assert told.views["queue", row.name, "live"].metrics["waiting_now"] == 2
    elif row.topic == "agents":
        assert told.views["team", row.name, "live"].metrics["agents_by_state"] == {"available": 2}
    else:
        for name in ("before", "behind"):
            queue = in_partition(f"{row.name}-{name}")
            assert told.views["queue", queue, "60m"].metrics["service_level_seconds"] == 33


def test_nothing_else_is_a_dead_letter_and_nothing_of_them_counts(told: Told) -> None:
    assert len(told.letters) == len(ROWS)
    assert not [key for key in told.views if key[1] == "never"]


def test_dead_letters_are_counted_by_reason(told: Told) -> None:
    scraped = told.floor.scrape()
    counted = {
        (sample.labels["stage"], sample.labels["rule"]): sample.value
        for sample in scraped.named("cc_dead_letters_total")
    }
    assert counted == Counter((row.topic, row.rule) for row in ROWS)
    assert scraped.total("cc_shard_drops_total") is None


def test_unknown_fields_are_ignored_and_counted(told: Told) -> None:
    assert told.views["queue", "newer", "60m"].metrics["offered"] == 2
    ignored = {
        sample.labels["stage"]: sample.value
        for sample in told.floor.scrape().named("cc_unknown_fields_total")
    }
    assert ignored["calls"] == 2 * 2 * len(UNKNOWN_FIELDS)


def test_live_equals_the_report(told: Told) -> None:
    assert told.compared.compared["windows"]
    assert not told.compared.differ, told.compared.text()

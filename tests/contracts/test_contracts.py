"""Wire to event: three forms are one, a chunk is its records, and no input raises."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_stream.contracts import BLOCK, Headers, decode_chunk, decode_one, encode
from cc_stream.dead_letters import MAX_VALUE_BYTES, RULE_IDS
from cc_stream.events import CallAnswered, Event, OutcomeRecorded, Refused

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
GOOD = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/good-*.json"))]
BAD = [path.read_bytes() for path in sorted(EXAMPLES.glob("*/bad-*.json"))]
ATTRIBUTES = ("specversion", "type", "source", "id", "time", "subject", "tenant", "revision")
ANSWERED = {
    "type": "cc.call.answered.v1",
    "source": "/pbx",
    "id": "1",
    "time": "2026-11-23T09:14:07.250Z",
    "data": {"contact_id": "c", "agent_id": "a", "wait_ms": 17000},
}


class Record(NamedTuple):
    """A Kafka record as far as it is read."""

    value: bytes | None
    headers: Headers = ()


def dumped(**changes: object) -> bytes:
    return json.dumps(ANSWERED | changes).encode()


def refused(value: bytes | None, headers: Headers = ()) -> Refused:
    outcome, _ = decode_one(value, headers)
    assert isinstance(outcome, Refused)
    return outcome


def binary(value: bytes) -> Record:
    document = json.loads(value)
    attributes = [name for name in document if name != "data"]
    headers = [(f"ce_{name}", str(document[name]).encode()) for name in attributes]
    return Record(
        json.dumps(document["data"]).encode(), [*headers, ("content-type", b"application/json")]
    )


def mutated(value: bytes, position: int, cut: int, new: bytes) -> bytes:
    start = position % (len(value) + 1)
    return value[:start] + new + value[start + cut :]


MUTATED = st.builds(
    mutated,
    st.sampled_from(GOOD + BAD),
    st.integers(0, 2000),
    st.integers(0, 12),
    st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b"null", b"0", b"-1", b"1e999"])
    | st.binary(max_size=6),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ATTRIBUTES, "data", "x", "contact_id"]), inner, max_size=6
        )
    ),
    max_leaves=10,
)
VALUES = (
    st.none()
    | st.binary(max_size=40)
    | MUTATED
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(GOOD)
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_type", "ce_time", "ce_data", "ce_", "content-type", "x"]),
        st.sampled_from([b"cc.call.answered.v1", b"application/cloudevents+json"])
        | st.binary(max_size=8),
    ),
    max_size=3,
)


@given(st.lists(st.builds(Record, VALUES, st.just(()) | HEADERS), max_size=8))
def test_nothing_raises_and_a_chunk_is_its_records(records: list[Record]) -> None:
    one_by_one = [decode_one(record.value, record.headers) for record in records]
    outcomes, ignored = decode_chunk(records)
    assert outcomes == [outcome for outcome, _ in one_by_one]
    assert ignored == sum(unknown for _, unknown in one_by_one)
    for outcome in outcomes:
        if isinstance(outcome, Event):
            encode(outcome)
        else:
            assert outcome.rule in RULE_IDS


@pytest.mark.parametrize("value", GOOD)
def test_the_three_forms_are_the_same_event(value: bytes) -> None:
    event, unknown = decode_one(value)
    document = json.loads(value)
    flat = {**{k: v for k, v in document.items() if k != "data"}, **document["data"]}
    if "revision" in document:
        flat["revision"] = document["revision"]
    bare = {k: v for k, v in document.items() if k != "specversion"}
    header = [("content-type", b"application/cloudevents+json; charset=UTF-8"), ("ce_id", b"x")]
    assert isinstance(event, Event)
    assert decode_one(value, header) == (event, unknown)
    assert decode_one(*binary(value)) == (event, unknown)
    assert decode_one(json.dumps(bare).encode()) == (event, unknown)
    flat_event, _ = decode_one(json.dumps(flat).encode())
    if not isinstance(event, OutcomeRecorded):  # its data has a revision, too
        assert flat_event == event


@pytest.mark.parametrize("value", GOOD)
def test_what_is_encoded_is_decoded_to_the_same(value: bytes) -> None:
    event, _ = decode_one(value)
    assert isinstance(event, Event)
    assert decode_one(encode(event)) == (event, 0)
    assert json.loads(encode(event))["time"] == "2026-11-23T09:14:07.250Z"


def test_a_flat_revision_is_meant_for_the_event_and_its_data() -> None:
    flat: dict[str, object] = {k: v for k, v in ANSWERED.items() if k != "data"}
    flat |= {"type": "cc.outcome.recorded.v1", "contact_id": "c", "outcome": "sale", "revision": 3}
    event, _ = decode_one(json.dumps(flat).encode())
    assert isinstance(event, OutcomeRecorded)
    assert (event.revision, event.data.revision) == (3, 3)


def test_unknown_fields_are_ignored_and_counted() -> None:
    data = {"contact_id": "c", "agent_id": "a", "wait_ms": 17000, "mood": "good", "x": [1]}
    plain, _ = decode_one(dumped())
    assert decode_one(dumped(data=data, traceparent="00-1")) == (plain, 3)
    assert decode_one(dumped(tenant=None, mood=None)) == (plain, 1)
    chunk = [Record(dumped()), Record(dumped(data=data)), Record(dumped(x=1))]
    assert decode_chunk(chunk) == ([plain] * 3, 3)


def test_one_bad_record_is_one_refusal_and_every_place_is_kept() -> None:
    chunk = [Record(dumped(id=str(n))) for n in range(3 * BLOCK + 5)]
    chunk[BLOCK + 7] = Record(b"{")
    outcomes, _ = decode_chunk(chunk)
    assert len(outcomes) == len(chunk)
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, Refused if n == BLOCK + 7 else CallAnswered)
        assert isinstance(outcome, Refused) or outcome.id == str(n)


@pytest.mark.parametrize(
    "values",
    [
        # Two in one value, and a value that its neighbour would complete: the sum is right.
        [dumped() + b"," + dumped(), dumped()[:-1], b"}"],
        [dumped() + b"\n" + dumped(), b"{}"[:0], dumped()],
        [dumped() + dumped(), b""],
        [dumped()[:-2] + b',"x":[{}', b"{}]}}", dumped() + dumped()],
        [dumped()[:-2] + b',"x":"}', b'{"}}', dumped() + dumped()],
        [dumped()[:-2] + b',"x":{}', b'{"y":1}}}', dumped() + dumped()],
    ],
)
def test_a_value_cannot_hide_behind_its_neighbours(values: list[bytes]) -> None:
    outcomes, _ = decode_chunk([Record(value) for value in values])
    assert outcomes == [decode_one(value)[0] for value in values]
    assert any(isinstance(outcome, Refused) for outcome in outcomes)


@pytest.mark.parametrize(
    ("value", "rule", "path"),
    [
        (None, "tombstone", ""),
        (b"x" * (MAX_VALUE_BYTES + 1), "too_large", ""),
        (b"", "not_json", ""),
        (b"\xff\xfe", "not_json", ""),
        (dumped().replace(b'"a"', b'"\\ud800"'), "not_json", ""),
        (dumped().replace(b"17000", b"NaN"), "not_json", ""),
        (b"[" * 100_000, "bad_value", ""),
        (b'{"a":' * 50_000, "bad_value", ""),
        (b"null", "not_object", ""),
        (b"{}", "missing_field", "$.type"),
        (dumped(type=3), "wrong_type", "$.type"),
        (dumped(type="cc.call.answered.v2"), "unknown_version", "$.type"),
        (dumped(type="cc.call.answered"), "unknown_version", "$.type"),
        (dumped(type="acme.call.v1"), "unknown_type", "$.type"),
        (dumped(id=None), "missing_field", "$.id"),
        (dumped(data={"agent_id": "a"}), "missing_field", "$.data.contact_id"),
        (dumped(data=[]), "wrong_type", "$.data"),
        (dumped(data=None), "wrong_type", "$.data"),
        (dumped(data={"contact_id": "c", "agent_id": 7}), "wrong_type", "$.data.agent_id"),
        (dumped(time="2026-11-23T09:14:07"), "time_without_offset", "$.time"),
        (dumped(time="1970-01-01T00:00:00.001Z"), "time_missing", "$.time"),
        (dumped(time="1970-01-01T01:00:00.001+01:00"), "time_missing", "$.time"),
        (dumped(time="1969-12-31T23:59:59Z"), "bad_value", "$.time"),
        (dumped(time="0001-01-01T00:00:00+14:00"), "bad_value", "$.time"),
        (dumped(time="9999-12-31T23:59:59-14:00"), "bad_value", "$.time"),
        (dumped(time="2026-11-23"), "bad_value", "$.time"),
        (dumped(time=1_795_000_000), "wrong_type", "$.time"),
        (dumped(subject="other"), "subject_mismatch", "$.subject"),
        (dumped(revision=1 << 40), "bad_value", "$.revision"),
    ],
)
def test_rule_and_path(value: bytes | None, rule: str, path: str) -> None:
    found = refused(value)
    assert (found.rule, found.path) == (rule, path)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [({"n": 1 << 70}, "bad_value"), ({"a": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}, "bad_value")],
)
def test_reference_fields_that_no_state_could_hold(fields: object, rule: str) -> None:
    data = {"entity": "a", "valid_from": "2026-11-23T00:00:00Z", "fields": fields}
    found = refused(dumped(type="cc.roster.updated.v1", data=data))
    assert (found.rule, found.path) == (rule, "$.data.fields")


def test_a_detail_repeats_no_content() -> None:
    secret = "4366012345678"  # noqa: S105 - a made-up phone number
    data = {"contact_id": "c", "queue": "q", "direction": secret}
    assert secret not in str(refused(dumped(type="cc.call.queued.v1", data=data)))
    assert secret not in str(refused(dumped(type=secret)))
    assert secret not in str(refused(dumped(time=secret)))


def test_binary_mode_has_the_same_rules() -> None:
    value, headers = binary(dumped())
    assert refused(value, [*headers, ("ce_revision", b"latest")]).path == "$.revision"
    assert refused(value, [*headers, ("ce_id", b"\xff")]).rule == "not_json"
    assert refused(b"[]", headers).path == "$.data"
    assert refused(None, headers).rule == "tombstone"
    event, unknown = decode_one(value, [*headers, ("ce_revision", b"2"), ("ce_traceparent", b"0")])
    assert isinstance(event, CallAnswered)
    assert (event.revision, unknown) == (2, 1)


def test_a_header_without_a_value_is_none() -> None:
    value, headers = binary(dumped())
    no_values: Headers = [*headers, ("ce_subject", None), ("content-type", None)]
    event, unknown = decode_one(value, no_values)
    assert isinstance(event, CallAnswered)
    assert (event.subject, unknown) == (None, 0)

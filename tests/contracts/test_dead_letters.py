"""Dead letters: a record has one letter, whatever becomes of it, and a large one is cut."""

import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from cc_stream.dead_letters import (
    MAX_HEADERS_BYTES,
    MAX_VALUE_BYTES,
    RULES,
    closed_letter,
    dead_letter,
    letter_key,
    replay_of,
)
from cc_stream.events import Refused

SCHEMAS = Path(__file__).parents[2] / "schemas"
REFUSED = Refused("missing_field", "$.data.contact_id", "missing")


class Record(NamedTuple):
    """A Kafka record as far as it is read."""

    key: bytes | None
    value: bytes | None
    topic: str = "cc.calls.v1"
    partition: int = 3
    offset: int = 42
    headers: tuple[tuple[str, bytes | None], ...] = ()


def test_key_value_and_headers() -> None:
    letter = dead_letter(REFUSED, Record(b"c-1", b"\xff{"))
    assert letter.key == b"cc.calls.v1/3/42"
    assert letter.value == b"\xff{"
    assert dict(letter.headers) == {
        "cc_rule": b"missing_field",
        "cc_path": b"$.data.contact_id",
        "cc_detail": b"missing",
        "cc_topic": b"cc.calls.v1",
        "cc_partition": b"3",
        "cc_offset": b"42",
        "cc_key": b"c-1",
    }


def test_a_large_value_is_a_prefix_with_the_hash_of_the_whole() -> None:
    value = bytes(900_000)
    letter = dead_letter(REFUSED, Record(None, value))
    assert letter.value == value[:MAX_VALUE_BYTES]
    headers = dict(letter.headers)
    assert headers["cc_sha256"] == sha256(value).hexdigest().encode()
    assert headers["cc_length"] == b"900000"
    assert "cc_key" not in headers
    whole = dead_letter(REFUSED, Record(None, value[:MAX_VALUE_BYTES]))
    assert "cc_sha256" not in dict(whole.headers)


def test_a_huge_key_does_not_make_a_letter_that_no_broker_takes() -> None:
    letter = dead_letter(REFUSED, Record(b"k" * 900_000, b"x" * 140_000))
    assert dict(letter.headers)["cc_key"] == b"k" * 4096


def test_a_tombstone_has_an_empty_value() -> None:
    assert dead_letter(REFUSED, Record(b"k", None)).value == b""


def test_rules_are_named_once() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_header_is_described() -> None:
    page = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `(cc_[\w.]+)` \|", page, re.MULTILINE)
    headers = (("cc_replay_of", b"cc.calls.v1/3/7"), ("NAME", b"x"))
    letter = dead_letter(REFUSED, Record(b"k", bytes(MAX_VALUE_BYTES + 1), headers=headers))
    assert described == [name for name, _ in letter.headers]


OWN = (("ce_id", b"7"), ("traceparent", b"\xff"), ("ce_id", b"8"), ("cc_rule", b"mine"))
KEPT = [
    ("cc_header.ce_id", b"7"),
    ("cc_header.traceparent", b"\xff"),
    ("cc_header.ce_id", b"8"),
    ("cc_header.cc_rule", b"mine"),
]
REPLAYED = (*OWN, ("cc_replay_of", b"cc.calls.v1/3/42"), ("cc_replays", b"2"))


def test_the_headers_of_the_record_are_kept_in_order() -> None:
    letter = dead_letter(REFUSED, Record(b"c-1", b"{", headers=OWN))
    assert [header for header in letter.headers if header[0].startswith("cc_header.")] == KEPT


def test_what_was_cut_is_named() -> None:
    longest = b"x" * (MAX_HEADERS_BYTES - 1)
    whole = Record(b"k" * 4096, bytes(MAX_VALUE_BYTES), headers=(("h", longest),))
    assert "cc_cut" not in dict(dead_letter(REFUSED, whole).headers)
    longer = Record(b"k" * 4097, bytes(MAX_VALUE_BYTES + 1), headers=(("h", longest), ("i", None)))
    headers = dict(dead_letter(REFUSED, longer).headers)
    assert headers["cc_cut"] == b"value,key,headers"
    assert not [name for name in headers if name.startswith("cc_header.")]


def test_a_replay_that_is_refused_again_has_the_letter_of_its_record() -> None:
    first = dead_letter(REFUSED, Record(b"c-1", b"{", headers=OWN))
    again = dead_letter(
        Refused("not_json", "", ""), Record(b"c-1", b"{", offset=50, headers=REPLAYED)
    )
    assert again.key == first.key == b"cc.calls.v1/3/42"
    assert again.value == first.value
    headers = dict(again.headers)
    assert (headers["cc_rule"], headers["cc_offset"]) == (b"not_json", b"42")
    assert headers["cc_replays"] == b"2"
    assert "cc_replays" not in dict(first.headers)
    assert [header for header in again.headers if header[0].startswith("cc_header.")] == KEPT


def test_a_replay_that_counts_closes_the_letter() -> None:
    letter = closed_letter(Record(b"c-1", b"{}", offset=50, headers=REPLAYED))
    assert letter is not None
    assert letter.key == b"cc.calls.v1/3/42"
    assert letter.value is None
    assert letter.headers == (("cc_replays", b"2"),)


def test_a_record_that_is_no_replay_closes_nothing() -> None:
    assert closed_letter(Record(b"c-1", b"{}", headers=OWN)) is None
    assert closed_letter(Record(b"c-1", b"{}")) is None


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"42",
        b"cc.calls.v1/3",
        b"cc.calls.v1/3/",
        b"cc.calls.v1/3/-1",
        b"cc.calls.v1/3/042",
        b"cc.calls.v1/3/ 42",
        b"cc.calls.v1/3/42/",
        b"cc.calls.v1/3/\xd9\xa4",
        b"cc.calls.v1/3/" + b"9" * 5000,
        b"cc.calls.v1/2/42",
        b"cc.agents.v1/3/42",
        b"cc.calls.v1/3/50",
        b"cc.calls.v1/3/51",
        b"\xff",
        None,
    ],
)
def test_a_provenance_that_cannot_be_true_is_ignored(said: bytes | None) -> None:
    record = Record(b"c-1", b"{", offset=50, headers=(("cc_replay_of", said),))
    assert replay_of(record) is None
    assert letter_key(record) == b"cc.calls.v1/3/50"
    assert closed_letter(record) is None


@pytest.mark.parametrize(
    ("said", "times"),
    [(b"7", 7), (b"", 1), (b"0", 1), (b"-3", 1), (b"many", 1), (b"9" * 5000, 1)],
)
def test_a_number_of_replays_that_is_none_is_the_first(said: bytes, times: int) -> None:
    headers = (("cc_replay_of", b"cc.calls.v1/3/0"), ("cc_replays", said))
    replay = replay_of(Record(b"c-1", b"{", headers=headers))
    assert replay is not None
    assert (replay.offset, replay.times) == (0, times)

"""Dead letters: the same record always gives the same letter, and a large one is cut."""

import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cc_stream.dead_letters import MAX_VALUE_BYTES, RULES, dead_letter
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
    described = re.findall(r"^\| `(cc_\w+)` \|", page, re.MULTILINE)
    letter = dead_letter(REFUSED, Record(b"k", bytes(MAX_VALUE_BYTES + 1)))
    assert described == [name for name, _ in letter.headers]

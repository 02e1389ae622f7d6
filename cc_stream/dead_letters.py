"""Dead letters: every record that was not counted, with the rule that it broke and where it lay.

The whole list of rules is `RULES`; `contracts` finds those about the content of a record and
`admit` those about its place in a partition.

A record has one letter, whatever becomes of it: a replay says of which record it is one, and what
it comes to is written under the key of that letter. The newest record of a key holds; without a
value, the letter is closed.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct

from cc_stream.events import Refused

MAX_VALUE_BYTES: Final = 256 * 1024
"""A larger value is refused unread (`too_large`), and its letter keeps this many bytes of it."""
MAX_KEY_BYTES: Final = 4 * 1024
"""A letter keeps this much of a key: with all of it, it might be larger than a broker takes."""
MAX_HEADERS_BYTES: Final = 32 * 1024
"""A letter keeps the headers of a record up to here, or none of them, for the same reason."""

REPLAY_OF: Final = "cc_replay_of"
"""Header of a replayed record: the key of its letter."""
REPLAYS: Final = "cc_replays"
"""Header of a replayed record, and of its letter from then on: which replay it is, from 1."""
KEPT: Final = "cc_header."
"""A letter has each header of the record under its own name behind this."""
CUT: Final = "cc_cut"
"""Header of a letter that does not keep all of the record: `value`, `key`, `headers`."""

_NUMBER: Final = re.compile(rb"0|[1-9][0-9]{0,17}")


class Rule(Struct, frozen=True):
    """One reason for a dead letter. `id` is the value of `cc_rule` and of the counter's label."""

    id: str
    meaning: str


RULES: Final[tuple[Rule, ...]] = (
    # Found in the record itself (contracts).
    Rule("tombstone", "the record has no value"),
    Rule("too_large", "the value is longer than 256 KiB"),
    Rule("not_json", "the value is not UTF-8 JSON"),
    Rule("not_object", "the value is JSON, but no object"),
    Rule("missing_field", "a required attribute or field is not there"),
    Rule("wrong_type", "a field has a value of another type"),
    Rule("bad_value", "a field has the right type and a value that is not allowed"),
    Rule("time_without_offset", "a time does not say its offset from UTC; it is never guessed"),
    Rule("time_missing", "a time is 1970-01-01T00:00:00.001Z, which some exchanges write for none"),
    Rule("unknown_type", "no event type of this name is known"),
    Rule("unknown_version", "the event type is known, this major version of it is not"),
    Rule("subject_mismatch", "the subject is not the contact, agent or queue of the data"),
    # Found where the record lies (admit).
    Rule("key_mismatch", "the record's key is not the contact, agent or queue of the data"),
    Rule("wrong_partition", "the key belongs to another partition: another partitioner wrote it"),
    Rule("wrong_topic", "an event of this type does not belong on this topic"),
    Rule("late", "older than the stream time of its source in this partition minus grace"),
    Rule("future", "later than the broker received it by more than the allowed seconds"),
    Rule("contact_gone", "the contact's log was already let go: it would count a second time"),
    Rule("log_full", "the contact has more events than any contact can have: is its id unique?"),
    Rule("id_conflict", "the same source, id and revision came before with other content"),
    # Found by trying (streams.poison); the batch report knows nothing of it.
    Rule("poison", "the program failed on the record, at last on it alone: an error of its own"),
)
RULE_IDS: Final[frozenset[str]] = frozenset(rule.id for rule in RULES)


Headers = Sequence[tuple[str, bytes | None]]


class Letter(Struct, frozen=True):
    """A record for the dead-letter topic: its key, value and headers as Kafka takes them."""

    key: bytes
    value: bytes | None
    headers: Headers


class Record(Protocol):
    """What is read of a Kafka record (aiokafka's `ConsumerRecord` has more)."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    @property
    def partition(self) -> int:
        """From 0."""

    @property
    def offset(self) -> int:
        """Within the partition, from 0."""

    @property
    def key(self) -> bytes | None:
        """None where the producer gave none."""

    @property
    def value(self) -> bytes | None:
        """None for a tombstone."""

    @property
    def headers(self) -> Headers:
        """Usually empty."""


class Replay(Struct, frozen=True):
    """What a replayed record says of itself."""

    offset: int
    """Of the record that was refused first, in the same partition."""
    times: int
    """Which replay it is, from 1."""


def replay_of(record: Record) -> Replay | None:
    """Of which record this is a replay; None if it says nothing, or nothing that can be true.

    A replay lies behind its record in the same partition. Whatever else a header claims is ignored:
    a producer cannot touch the letters of other partitions.
    """
    said = dict(record.headers)
    key = said.get(REPLAY_OF)
    if not key:
        return None
    prefix = f"{record.topic}/{record.partition}/".encode()
    offset = _number(key.removeprefix(prefix)) if key.startswith(prefix) else None
    if offset is None or offset >= record.offset:
        return None
    return Replay(offset, _number(said.get(REPLAYS) or b"") or 1)


def _number(digits: bytes) -> int | None:
    return int(digits) if _NUMBER.fullmatch(digits) else None


def letter_key(record: Record) -> bytes:
    """`topic/partition/offset` of the record, or of the one that it is a replay of."""
    replay = replay_of(record)
    offset = record.offset if replay is None else replay.offset
    return f"{record.topic}/{record.partition}/{offset}".encode()


def dead_letter(refused: Refused, record: Record) -> Letter:
    """The letter for a refused record; the very same one when it is read again.

    The key is `topic/partition/offset`. The value is the original one, or its first 256 KiB
    together with `cc_sha256` (hex) and `cc_length` (bytes) of the whole. A tombstone has an empty
    value. `cc_key` is the original key, at most 4 KiB of it. The record's own headers are behind
    `cc_header.`, if they are not longer than 32 KiB together. `cc_cut` says what is not whole.

    A replay that was refused has the letter of its record, with `cc_replays`.
    """
    replay = replay_of(record)
    offset = record.offset if replay is None else replay.offset
    headers: list[tuple[str, bytes | None]] = [
        ("cc_rule", refused.rule.encode()),
        ("cc_path", refused.path.encode()),
        ("cc_detail", refused.detail.encode()),
        ("cc_topic", record.topic.encode()),
        ("cc_partition", b"%d" % record.partition),
        ("cc_offset", b"%d" % offset),
    ]
    if record.key is not None:
        headers.append(("cc_key", record.key[:MAX_KEY_BYTES]))
    value = record.value or b""
    if len(value) > MAX_VALUE_BYTES:
        headers.append(("cc_sha256", sha256(value).hexdigest().encode()))
        headers.append(("cc_length", b"%d" % len(value)))
    own = [(name, content) for name, content in record.headers if name not in {REPLAY_OF, REPLAYS}]
    cut = _cut(value, record.key or b"", own)
    if cut:
        headers.append((CUT, ",".join(cut).encode()))
    if replay is not None:
        headers.append((REPLAYS, b"%d" % replay.times))
    if "headers" not in cut:
        headers += [(KEPT + name, content) for name, content in own]
    return Letter(letter_key(record), value[:MAX_VALUE_BYTES], tuple(headers))


def _cut(value: bytes, key: bytes, headers: Headers) -> list[str]:
    """What of a record is too long for its letter."""
    size = sum(len(name.encode()) + len(content or b"") for name, content in headers)
    limits = (
        ("value", len(value), MAX_VALUE_BYTES),
        ("key", len(key), MAX_KEY_BYTES),
        ("headers", size, MAX_HEADERS_BYTES),
    )
    return [name for name, length, most in limits if length > most]


def closed_letter(record: Record) -> Letter | None:
    """What closes the letter of a record that was replayed and not refused; None for no replay.

    It has no value; `cc_replays` says which replay it was.
    """
    replay = replay_of(record)
    if replay is None:
        return None
    return Letter(letter_key(record), None, ((REPLAYS, b"%d" % replay.times),))

"""Dead letters: every record that was not counted, with the rule that it broke and where it lay.

The whole list of rules is `RULES`; `contracts` finds those about the content of a record and
`admit` those about its place in a partition.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct

from cc_stream.events import Refused

MAX_VALUE_BYTES: Final = 256 * 1024
"""A larger value is refused unread (`too_large`), and its letter keeps this many bytes of it."""
MAX_KEY_BYTES: Final = 4 * 1024
"""A letter keeps this much of a key: with all of it, it might be larger than a broker takes."""


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


class Letter(Struct, frozen=True):
    """A record for the dead-letter topic: its key, value and headers as Kafka takes them."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


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


def dead_letter(refused: Refused, record: Record) -> Letter:
    """The letter for a refused record; the very same one when the record is replayed.

    The key is `topic/partition/offset`. The value is the original one, or its first 256 KiB
    together with `cc_sha256` (hex) and `cc_length` (bytes) of the whole. A tombstone has an empty
    value. `cc_key` is the original key, at most 4 KiB of it. The record's own
    headers are not kept: whoever needs them finds the record by `cc_topic` and `cc_offset`.
    """
    headers = [
        ("cc_rule", refused.rule.encode()),
        ("cc_path", refused.path.encode()),
        ("cc_detail", refused.detail.encode()),
        ("cc_topic", record.topic.encode()),
        ("cc_partition", b"%d" % record.partition),
        ("cc_offset", b"%d" % record.offset),
    ]
    if record.key is not None:
        headers.append(("cc_key", record.key[:MAX_KEY_BYTES]))
    value = record.value or b""
    if len(value) > MAX_VALUE_BYTES:
        headers.append(("cc_sha256", sha256(value).hexdigest().encode()))
        headers.append(("cc_length", b"%d" % len(value)))
    key = f"{record.topic}/{record.partition}/{record.offset}"
    return Letter(key.encode(), value[:MAX_VALUE_BYTES], tuple(headers))

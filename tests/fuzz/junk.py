"""Values at the boundaries of what a parser takes."""

from random import Random
from typing import Any, Final

DEEPEST: Final = 100_000
LONGEST: Final = 70_000

RAW: Final = (
    b"1e999", b"-1e999", b"1E400", b"-0", b"-0.0", b"1e-999", b"NaN", b"Infinity", b"-Infinity",
    b"9" * 19, b"9" * 25, b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"0.1e1", b"01", b"+1",
    b"1.",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\n"',
    b'"\\x"', b"tru", b"'a'", b"{", b"}", b"[", b"]", b",", b":", b"", b"{}{}", b"\n", b"\x00",
    b'{"a":1,"a":2}', b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809",
    b"9223372036854775807", b"9223372036854775808", b"9007199254740993", b"1.7976931348623157e308",
)  # fmt: skip
"""JSON, and what looks like it, that `json.dumps` would not write."""
TIMES: Final = (
    "", "0", "now", "2026-11-23", "2026-11-23T09:14:07", "2026-11-23T09:14:07Z",
    "2026-11-23T09:14:07+01:00", "2026-11-23T09:14:07+23:59", "2026-11-23T09:14:07-00:00",
    "2026-11-23T09:14:60Z", "2026-02-30T09:14:07Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z",
    "1969-12-31T23:59:59.999Z", "2069-12-31T23:59:59.999999Z", "2070-01-01T00:00:00Z",
    "2038-01-19T03:14:08Z", "2026-11-23 09:14:07Z", "2026-11-23t09:14:07z",
    "2026-11-23T09:14:07.123456789123Z", "2026-11-23T09:14:07,5Z", "20261123T091407Z",
    "+002026-11-23T09:14:07Z", "2026-11-23T24:00:00Z", "2026-11-23T09:14:07+24:00",
)  # fmt: skip
STRINGS: Final = (
    "", " ", "\x00", "\n", "|", "/", "..", "NONE", "null", "\u202e", "\ufeff", "é", "東京", "🙂",
    "a" * 256, "a" * 257, "é" * 256, "🙂" * 257, "a" * 1025, "%s%n", "$.a`b'", "\u2028",
    "x" * LONGEST,
    "Europe/Berlin", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a/" * 300,
    "UTC\x00",
    "\ud800", "cc.call.queued.v1", "cc.call.queued.v2", "cc.queue.configured.v1", "1.0",
    "available",
    *TIMES,
)  # fmt: skip
_NUMBERS: Final = (
    0, 1, -1, 2, 0.5, -0.5, 1e308, 5e-324, 2**31 - 1, 2**31, 2**31 + 1, 2**40, 2**40 + 1, 2**53,
    2**53 + 1, -(2**53) - 1, 2**60, 2**60 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 10**30,
)  # fmt: skip
NAMES: Final = (
    "id", "type", "source", "time", "data", "subject", "tenant", "revision", "sequence",
    "specversion",
    "datacontenttype", "dataschema", "contact_id", "agent_id", "queue", "entity", "valid_from",
    "fields", "waiting", "since", "state", "score", "scale_min", "scale_max", "marks", "skills",
    "queues", "team", "timezone", "service_level_seconds", "short_abandon_seconds",
    "service_level_formula", "max_wait_seconds", "wrap_limit_seconds", "handle_time_band_seconds",
    "level", "", "é", "__class__", "a" * 300,
)  # fmt: skip


def junk(rng: Random, depth: int = 2) -> Any:
    """Any value of JSON, most of them at a boundary."""
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in {1, 2}:
        return rng.choice(_NUMBERS)
    if kind in {3, 4, 5}:
        return rng.choice(STRINGS)
    items = [junk(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 3, 33)))]
    if kind == 6:
        return items
    return {rng.choice(NAMES): item for item in items}

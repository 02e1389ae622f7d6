"""What is spoiled without a look at its structure: bytes, headers, lines of columns."""

import json
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.fuzz.junk import LONGEST, NAMES, RAW, junk


def duplicated_key(rng: Random, value: bytes) -> bytes:
    """The same object with a member more, of a name that it may have already."""
    member = json.dumps({rng.choice(NAMES): junk(rng)})[1:-1]
    return b"{" + member.encode(errors="surrogatepass") + b"," + value[1:]


def spoiled(rng: Random, value: bytes, others: Sequence[bytes]) -> bytes:
    """The bytes cut off, flipped, repeated, overwritten, or joined with another example."""
    at, end = sorted((rng.randrange(len(value) + 1), rng.randrange(len(value) + 1)))
    other = rng.choice(others)
    kind = rng.randrange(7)
    if kind == 0:
        return value[:at]
    if kind == 1:
        return value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :]
    if kind == 2:
        return value[:at] + rng.choice(RAW) + value[at:]
    if kind == 3:
        return value[:end] + value[at:]
    if kind == 4:
        return value[:at] + other[rng.randrange(len(other) + 1) :]
    if kind == 5:
        return value[:at] + rng.randbytes(rng.randrange(40)) + value[end:]
    return value + rng.choice((b"\n", b" ", b"\x00", b"\xef\xbb\xbf")) + other


Headers = list[tuple[str, bytes | None]]
_HEADERS: Final = (
    "ce_type", "ce_source", "ce_id", "ce_time", "ce_data", "ce_", "ce_revision", "ce_sequence",
    "ce_subject", "ce_tenant", "ce_specversion", "ce_é", "content-type", "Content-Type",
    "traceparent",
    "cc_replay_of", "cc_replays", "cc_rule", "",
)  # fmt: skip
_CONTENTS: Final = (
    None, b"", b"1", b"01", b"-1", b"\xff", b"9" * 40, b"9" * 5000, b"\xd9\xa4", b"x" * LONGEST,
    b"application/json", b"application/cloudevents+json",
    b"application/cloudevents+json; charset=u",
    b"cc.call.queued.v1", b"2026-11-23T09:14:07Z", b"cc.calls.v1/0/0", b"cc.calls.v1/0/", b"null",
)  # fmt: skip


def headers(rng: Random) -> Headers:
    """None mostly; else any names and contents."""
    if rng.random() < 0.8:
        return []
    return [(rng.choice(_HEADERS), rng.choice(_CONTENTS)) for _ in range(rng.randrange(1, 5))]


def in_binary_mode(rng: Random, value: bytes) -> tuple[bytes, Headers]:
    """A structured event as data and `ce_` headers, with some headers lost, wrong or twice."""
    try:
        document = json.loads(value)
        attributes = dict(document)
        data = json.dumps(attributes.pop("data")).encode()
        found: Headers = [
            (f"ce_{name}", str(content).encode()) for name, content in attributes.items()
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        return value, headers(rng)
    for header in headers(rng):
        found.insert(rng.randrange(len(found) + 1), header)
    if found and rng.random() < 0.2:
        del found[rng.randrange(len(found))]
    return data, found


def line(rng: Random, lines: Sequence[bytes]) -> bytes:
    """A line of columns, with columns exchanged, lost, added or spoiled."""
    columns = rng.choice(lines).split(b"|")
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        at = rng.randrange(len(columns))
        other = rng.choice(lines).split(b"|")
        kind = rng.randrange(6)
        if kind == 0:
            columns[at] = rng.choice(_COLUMNS)
        elif kind == 1:
            columns[at] = rng.choice(other)
        elif kind == 2:
            columns[at] = other[at] if at < len(other) else b""
        elif kind == 3:
            columns.insert(at, rng.choice(_COLUMNS))
        elif kind == 4 and len(columns) > 1:
            del columns[at]
        else:
            later = int(columns[0]) if columns[0].isdigit() and len(columns[0]) < 12 else 0
            columns[0] = b"%d" % (later + rng.choice((-86_400, -1, 0, 1, 60, 86_400, 10**9)))
    whole = b"|".join(columns)
    return spoiled(rng, whole, lines) if rng.random() < 0.1 else whole


_COLUMNS: Final = (
    b"", b"0", b"1", b"-1", b"1.5", b"1.0005", b"9" * 11, b"9" * 12, b"9" * 13, b"9" * 5000,
    b"1e9", b"NaN",
    b"NONE", b"REALTIME", b"MANAGER", b"CLI", b"\xff\xfe", b"\xd9\xa4", "東京".encode(), b"x" * 257,
    b"x" * LONGEST, b"PAUSED", b"BRIDGE,a.2", b"APP,x", b"LINK,a,b", b"LINK", b",", b"(SIP/1)",
    b"\x00", b"\r",
    b"2026-11-23 09:14:07", b"2534023007999", b"253402300799", b"4102444800", b"3155759000",
    b"100", b"0.001",
    b"1795338000.5",
    b"ENTERQUEUE", b"CONNECT", b"COMPLETECALLER", b"ATTENDEDTRANSFER", b"WRAPUPSTART", b"DIVERT_X",
    b"RINGCANCELED", b"WITHDRAW", b"EXITWITHKEY", b"AGENTDUMP", b"ADDMEMBER", b"AGENTLOGIN",
    b"QUEUESTART",
    b"AGENTCALLBACKLOGOFF", b"TRANSFER", b"\xef\xbb\xbf1795338000", b"a.1", b"Anna", b"sales",
)  # fmt: skip

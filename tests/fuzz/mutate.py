"""Mutations that know the structure of what they spoil: JSON documents, bytes, lines, headers."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

DEEPEST: Final = 100_000
LONGEST: Final = 70_000

_RAW: Final = (
    b"1e999", b"-1e999", b"1E400", b"-0", b"-0.0", b"1e-999", b"NaN", b"Infinity", b"-Infinity",
    b"9" * 19, b"9" * 25, b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"0.1e1", b"01", b"+1",
    b"1.",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\n"',
    b'"\\x"', b"tru", b"'a'", b"{", b"}", b"[", b"]", b",", b":", b"", b"{}{}", b"\n", b"\x00",
    b'{"a":1,"a":2}', b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809",
    b"9223372036854775807", b"9223372036854775808", b"9007199254740993", b"1.7976931348623157e308",
)  # fmt: skip
"""JSON, and what looks like it, that `json.dumps` would not write."""
_TIMES: Final = (
    "", "0", "now", "2026-11-23", "2026-11-23T09:14:07", "2026-11-23T09:14:07Z",
    "2026-11-23T09:14:07+01:00", "2026-11-23T09:14:07+23:59", "2026-11-23T09:14:07-00:00",
    "2026-11-23T09:14:60Z", "2026-02-30T09:14:07Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z",
    "1969-12-31T23:59:59.999Z", "2069-12-31T23:59:59.999999Z", "2070-01-01T00:00:00Z",
    "2038-01-19T03:14:08Z", "2026-11-23 09:14:07Z", "2026-11-23t09:14:07z",
    "2026-11-23T09:14:07.123456789123Z", "2026-11-23T09:14:07,5Z", "20261123T091407Z",
    "+002026-11-23T09:14:07Z", "2026-11-23T24:00:00Z", "2026-11-23T09:14:07+24:00",
)  # fmt: skip
_STRINGS: Final = (
    "", " ", "\x00", "\n", "|", "/", "..", "NONE", "null", "\u202e", "\ufeff", "é", "東京", "🙂",
    "a" * 256, "a" * 257, "é" * 256, "🙂" * 257, "a" * 1025, "%s%n", "$.a`b'", "\u2028",
    "x" * LONGEST,
    "Europe/Berlin", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a/" * 300,
    "UTC\x00",
    "\ud800", "cc.call.queued.v1", "cc.call.queued.v2", "cc.queue.configured.v1", "1.0",
    "available",
    *_TIMES,
)  # fmt: skip
_NUMBERS: Final = (
    0, 1, -1, 2, 0.5, -0.5, 1e308, 5e-324, 2**31 - 1, 2**31, 2**31 + 1, 2**40, 2**40 + 1, 2**53,
    2**53 + 1, -(2**53) - 1, 2**60, 2**60 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 10**30,
)  # fmt: skip
_NAMES: Final = (
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
        return rng.choice(_STRINGS)
    items = [junk(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 3, 33)))]
    if kind == 6:
        return items
    return {rng.choice(_NAMES): item for item in items}


class Documents:
    """Mutated JSON documents, from good examples of them mostly, and from bad ones."""

    def __init__(self, good: Sequence[bytes], bad: Sequence[bytes] = ()) -> None:
        self.good = good
        self.examples = [*good, *bad]

    def draw(self, rng: Random) -> bytes:
        """One document with none to several mutations."""
        document = json.loads(rng.choice(self.good if rng.random() < 0.9 else self.examples))
        if rng.random() < 0.8:
            _live(rng, document)
        raw: list[bytes] = []
        for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 1, 2, 3, 6))):
            document = self._mutated(rng, document, raw)
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
        value = text.encode(errors="surrogatepass")
        for index, content in enumerate(raw):
            value = value.replace(b'"~raw%d~"' % index, content)
        if rng.random() < 0.1:
            value = duplicated_key(rng, value)
        if rng.random() < 0.1:
            value = spoiled(rng, value, self.examples)
        return value

    def _mutated(self, rng: Random, document: Any, raw: list[bytes]) -> Any:
        places = list(_places(document))
        if not places:
            return junk(rng)
        container, key = rng.choice(places)
        change = rng.choice(_CHANGES)
        if change is _put_raw:
            raw.append(_raw(rng))
            container[key] = f"~raw{len(raw) - 1}~"
        elif change is _graft:
            other = json.loads(rng.choice(self.examples))
            from_, at = rng.choice(list(_places(other)))
            container[key] = from_[at]
        else:
            change(rng, container, key)
        return document


def _live(rng: Random, document: Any) -> None:
    """Make an example one of many events: of its own id and moment, of one of a few contacts."""
    document["id"] = f"id-{rng.randrange(3_000)}"
    second = rng.randrange(600)
    document["time"] = (
        f"2026-11-23T09:{second // 60:02d}:{second % 60:02d}.{rng.randrange(999):03d}Z"
    )
    document.pop("subject", None)
    data = document.get("data")
    if isinstance(data, dict):
        for name, names in _FEW.items():
            if name in data and rng.random() < 0.9:
                data[name] = rng.choice(names)


_FEW: Final = {
    "contact_id": ("c-1", "c-2", "c-3", "c-4", "c-5", "é"),
    "agent_id": ("ann", "bert", "東"),
    "queue": ("sales", "support", "a/b"),
    "entity": ("ann", "bert", "sales", "support", "north"),
    "team": ("north", "south"),
}


def _places(document: Any) -> "list[tuple[Any, Any]]":
    """(container, key or index) of every value inside."""
    places: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        container = todo.pop()
        if isinstance(container, dict):
            keys: Sequence[Any] = list(container)
        elif isinstance(container, list):
            keys = range(len(container))
        else:
            continue
        for key in keys:
            places.append((container, key))
            todo.append(container[key])
    return places


def _raw(rng: Random) -> bytes:
    if rng.random() < 0.8:
        return rng.choice(_RAW)
    depth = rng.choice((15, 16, 17, 40, 500, 1_100, DEEPEST))
    begin, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return begin * depth + b"1" + end * rng.choice((depth, depth, depth - 1, 0))


def _remove(_rng: Random, container: Any, key: Any) -> None:
    del container[key]


def _replace(rng: Random, container: Any, key: Any) -> None:
    container[key] = junk(rng)


def _time(rng: Random, container: Any, key: Any) -> None:
    container[key] = rng.choice(_TIMES)


def _rename(rng: Random, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice(_NAMES)] = container.pop(key)


def _add(rng: Random, container: Any, _key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice(_NAMES)] = junk(rng)
    else:
        container.append(junk(rng))


def _swap(rng: Random, container: Any, key: Any) -> None:
    other = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key], container[other] = container[other], container[key]


def _retype(rng: Random, container: Any, key: Any) -> None:
    value = container[key]
    wrapped: tuple[Any, ...] = ([value], {"a": value}, str(value), [value] * 40, bool(value))
    container[key] = rng.choice(wrapped)


def _nudge(rng: Random, container: Any, key: Any) -> None:
    value = container[key]
    if isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        container[key] = value[:at] + rng.choice(_STRINGS) + value[at + rng.randrange(3) :]
    elif isinstance(value, int | float):
        container[key] = rng.choice((value + 1, -value, value * 2**31, value / 3, value * 1.5))


def _put_raw(_rng: Random, _container: Any, _key: Any) -> None:
    """Raw bytes: see `Documents`."""


def _graft(_rng: Random, _container: Any, _key: Any) -> None:
    """A value of another document: see `Documents`."""


_CHANGES: Final[tuple[Callable[[Random, Any, Any], None], ...]] = (
    _remove, _replace, _replace, _time, _rename, _add, _swap, _retype, _nudge, _nudge,
    _put_raw, _graft,
)  # fmt: skip


def duplicated_key(rng: Random, value: bytes) -> bytes:
    """The same object with a member more, of a name that it may have already."""
    member = json.dumps({rng.choice(_NAMES): junk(rng)})[1:-1]
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
        return value[:at] + rng.choice(_RAW) + value[at:]
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

"""One line of a queue_log: its fields, and what is refused about them."""

import re
from typing import Final

from msgspec import Struct

from cc_stream.content import END_MS, LAST_YEAR
from cc_stream.sources.source import MalformedError

MAX_LINE_BYTES: Final = 64 * 1024
MAX_NAME: Final = 256
MAX_DURATION_MS: Final = 1 << 40
NOBODY: Final = frozenset({"", "NONE"})
NO_CONTACT: Final = NOBODY | {"REALTIME", "MANAGER", "CLI"}

_EPOCH: Final = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,9}))?")
_LOCAL_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]")
_VERB: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?")
_FIELDS: Final = ("time", "callid", "queue", "agent", "verb")


class Line(Struct, frozen=True, gc=False):
    """A line whose time and verb are right. `params` may be shorter than the verb's list."""

    ms: int
    callid: str
    queue: str
    agent: str
    verb: str
    params: tuple[str, ...]


def content_of(payload: bytes) -> bytes:
    """The line without byte-order mark and line end: what its id is a hash of."""
    return payload.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")


def parse(content: bytes) -> Line:
    """Read a line. Bytes that are not UTF-8 are read as Latin-1, which old exchanges write.

    Raises:
        MalformedError: it has no fields, no time or no verb.
    """
    if len(content) > MAX_LINE_BYTES:
        raise MalformedError("too_large", "", f"{len(content)} bytes, at most {MAX_LINE_BYTES}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    fields = text.split("|")
    if len(fields) < len(_FIELDS):
        raise MalformedError(
            "missing_field", f"$.{_FIELDS[len(fields)]}", "fewer than five columns"
        )
    epoch, callid, queue, agent, verb, *params = fields
    ms = _milliseconds(epoch)
    if _VERB.fullmatch(verb) is None:
        raise MalformedError("bad_value", "$.verb", "not the name of an event")
    return Line(ms, callid, queue, agent, verb, tuple(params))


def _milliseconds(epoch: str) -> int:
    found = _EPOCH.fullmatch(epoch)
    if found is None:
        if _LOCAL_TIME.match(epoch):
            raise MalformedError("time_without_offset", "$.time", "local time, not an epoch")
        raise MalformedError("bad_value", "$.time", "not an epoch in seconds")
    seconds, fraction = found.groups()
    ms = int(seconds) * 1000 + int((fraction or "").ljust(3, "0")[:3])
    if ms <= 1:
        raise MalformedError("time_missing", "$.time", "0")
    if ms >= END_MS:
        raise MalformedError("bad_value", "$.time", f"after the year {LAST_YEAR}")
    return ms


def contact_id(line: Line) -> str:
    """The call, where the verb needs one.

    Raises:
        MalformedError: `NONE`, `REALTIME` and `MANAGER` are not contacts.
    """
    return _name(line.callid, "callid", NO_CONTACT)


def agent_id(line: Line) -> str:
    """The agent, where the verb needs one.

    Raises:
        MalformedError: there is none.
    """
    return _name(line.agent, "agent", NOBODY)


def queue_name(line: Line) -> str:
    """The queue, where the verb needs one.

    Raises:
        MalformedError: there is none.
    """
    return _name(line.queue, "queue", NOBODY)


def _name(value: str, field: str, nothing: frozenset[str]) -> str:
    if value in nothing:
        raise MalformedError("missing_field", f"$.{field}", "the event needs one")
    if len(value) > MAX_NAME:
        raise MalformedError("bad_value", f"$.{field}", f"longer than {MAX_NAME} characters")
    return value


def duration_ms(line: Line, number: int, unit_ms: int = 1000) -> int | None:
    """Parameter `number` (from 1) as milliseconds; None where it is missing or negative.

    A negative one is a clock that was set back: nothing is known then.

    Raises:
        MalformedError: it is not a number, or too large.
    """
    return to_duration_ms(text(line, number), f"$.p{number}", unit_ms)


def to_duration_ms(value: str, path: str, unit_ms: int = 1000) -> int | None:
    """As `duration_ms`, of a value that was taken out of a packed column."""
    if not value:
        return None
    if _NUMBER.fullmatch(value) is None:
        raise MalformedError("bad_value", path, "not a number")
    ms = round(float(value) * unit_ms) if "." in value else int(value) * unit_ms
    if ms > MAX_DURATION_MS:
        raise MalformedError("bad_value", path, "longer than 34 years")
    return ms if ms >= 0 else None


def position(line: Line, number: int) -> int | None:
    """Parameter `number` (from 1) as a place in the queue; None where it is none."""
    value = text(line, number)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004


def text(line: Line, number: int) -> str:
    """Parameter `number` (from 1), empty where it is missing."""
    return line.params[number - 1].strip() if number <= len(line.params) else ""

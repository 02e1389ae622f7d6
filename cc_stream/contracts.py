"""Wire to event and back: CloudEvents in three forms, and a reason for everything refused.

Accepted are structured JSON, Kafka binary mode (`ce_*` headers around the data), and bare JSON with
the same names, where the data may lie under `data` or flat beside the attributes. What leaves is
structured JSON. No input makes a function of this module raise.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Final, Protocol, Union

import msgspec

from cc_stream.content import content_fault
from cc_stream.dead_letters import MAX_VALUE_BYTES
from cc_stream.events import ALL_EVENTS, DEFAULT_TENANT, Event, Refused, type_of

BLOCK: Final = 128
"""Records decoded by one call. When one of them is bad, these are looked at one by one."""

Headers = Sequence[tuple[str, bytes | None]]
Decoded = Event | Refused

_ENVELOPE: Final = frozenset(Event.__struct_fields__) | {"type"}
_TYPES: Final[Mapping[str, type[Event]]] = {type_of(cls): cls for cls in ALL_EVENTS}
_DATA_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(field.name for field in msgspec.structs.fields(cls.__annotations__["data"]))
    for name, cls in _TYPES.items()
}
_MAJOR: Final = re.compile(r"\.v[0-9]+$")
_FAMILIES: Final = frozenset(_MAJOR.sub("", name) for name in _TYPES)
_DECODER: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(
    Union[ALL_EVENTS]  # noqa: UP007 - a union of a tuple has no other form
)
_ENCODER: Final = msgspec.json.Encoder()
_STRUCTURED: Final = b"application/cloudevents+json"


class Record(Protocol):
    """What is read of a Kafka record (aiokafka's `ConsumerRecord` has more)."""

    @property
    def value(self) -> bytes | None:
        """None for a tombstone."""

    @property
    def headers(self) -> Headers:
        """Usually empty."""


def decode_chunk(records: Sequence[Record]) -> tuple[list[Decoded], int]:
    """One event or refusal per record, in order, and how many unknown fields were ignored.

    Equal to `decode_one` for each record, and much faster while all of a block are good.
    """
    outcomes: list[Decoded] = []
    ignored = 0
    for start in range(0, len(records), BLOCK):
        block = records[start : start + BLOCK]
        events = _decode_block(block)
        if events is not None:
            outcomes.extend([content_fault(event) or event for event in events])
            continue
        for record in block:
            outcome, unknown = decode_one(record.value, record.headers)
            outcomes.append(outcome)
            ignored += unknown
    return outcomes, ignored


def decode_one(value: bytes | None, headers: Headers = ()) -> tuple[Decoded, int]:
    """The event or the refusal of one record, and how many unknown fields were ignored in it."""
    if value is None:
        return Refused("tombstone", "", "no value"), 0
    if len(value) > MAX_VALUE_BYTES:
        return Refused("too_large", "", f"{len(value)} bytes, at most {MAX_VALUE_BYTES}"), 0
    try:
        return _decode_value(value, headers)
    except msgspec.ValidationError as error:
        refused = _refused(error)
    except ValueError:
        refused = Refused("not_json", "", "malformed JSON or UTF-8")
    except RecursionError:
        refused = Refused("bad_value", "", "nested too deeply")
    return refused, 0


def encode(event: Event) -> bytes:
    """The event as structured JSON, UTC with milliseconds; what is below a millisecond is lost."""
    time = event.time.astimezone(UTC).replace(tzinfo=None)
    envelope: dict[str, object] = {
        "specversion": event.specversion,
        "type": type_of(type(event)),
        "source": event.source,
        "id": event.id,
        "time": time.isoformat(timespec="milliseconds") + "Z",
    }
    for name in ("subject", "datacontenttype", "dataschema"):
        if getattr(event, name) is not None:
            envelope[name] = getattr(event, name)
    if event.tenant != DEFAULT_TENANT:
        envelope["tenant"] = event.tenant
    if event.revision:
        envelope["revision"] = event.revision
    if event.sequence:
        envelope["sequence"] = event.sequence
    envelope["data"] = event.data  # type: ignore[attr-defined]  # every concrete event has data
    return _ENCODER.encode(envelope)


def _decode_block(block: Sequence[Record]) -> list[Event] | None:
    """All events of a block at once, or None if any record needs a closer look.

    Sound, because a value that is not exactly one object cannot hide behind its neighbours: a raw
    newline ends every JSON string, and behind a `}` at depth no `{` may follow. So each value holds
    at least one whole item, and as many items as values means one each.
    """
    values = []
    for record in block:
        value = record.value
        if value is None or len(value) > MAX_VALUE_BYTES or value[:1] != b"{" or value[-1:] != b"}":
            return None
        if record.headers and _is_binary(record.headers):
            return None
        values.append(value)
    try:
        events = _DECODER.decode_lines(b"\n".join(values))
    except (ValueError, RecursionError):
        return None
    return events if len(events) == len(values) else None


def _decode_value(value: bytes, headers: Headers) -> tuple[Decoded, int]:
    """Strictly if that goes, for most records do.

    Raises:
        ValueError: malformed JSON or UTF-8; `msgspec.ValidationError` for a missing or wrong field.
        RecursionError: nested too deeply.
    """
    if _is_binary(headers):
        return _decode_leniently(_structured_form(value, headers))
    try:
        event = _DECODER.decode(value)
    except ValueError:
        return _decode_leniently(msgspec.json.decode(value))
    return content_fault(event) or event, 0


def _is_binary(headers: Headers) -> bool:
    names = [name for name, _ in headers]
    if not any(name.startswith("ce_") for name in names):
        return False
    content_types = [value for name, value in headers if name.lower() == "content-type"]
    return not any((value or b"").startswith(_STRUCTURED) for value in content_types)


def _structured_form(value: bytes, headers: Headers) -> dict[str, object]:
    """The structured form of a record in binary mode. An attribute without a value is left out.

    Raises:
        ValueError: the value is not JSON, or an attribute not UTF-8.
    """
    form: dict[str, object] = {"data": msgspec.json.decode(value)}
    for name, content in headers:
        if name.startswith("ce_") and name != "ce_data" and content is not None:
            form[name[3:]] = content.decode()
    revision = form.get("revision")
    if isinstance(revision, str) and re.fullmatch(r"[0-9]{1,10}", revision):
        form["revision"] = int(revision)
    return form


def _decode_leniently(document: object) -> tuple[Decoded, int]:
    """As the strict decoder, but flat data is gathered and unknown fields are dropped and counted.

    Raises:
        msgspec.ValidationError: a field is missing or wrong.
    """
    if not isinstance(document, dict):
        return Refused("not_object", "", "JSON, but no object"), 0
    attributes = {name: value for name, value in document.items() if value is not None}
    if "type" not in attributes:
        return Refused("missing_field", "$.type", "missing"), 0
    name = attributes["type"]
    if not isinstance(name, str):
        return Refused("wrong_type", "$.type", "expected a string"), 0
    if name not in _TYPES:
        known = _MAJOR.sub("", name) in _FAMILIES
        return Refused("unknown_version" if known else "unknown_type", "$.type"), 0
    envelope = {key: attributes[key] for key in attributes.keys() & _ENVELOPE}
    data = document["data"] if "data" in document else _flat_data(document, _DATA_FIELDS[name])
    unknown = len(document.keys() - _ENVELOPE - {"data"}) if "data" in document else 0
    if isinstance(data, dict):
        known_data = {key: data[key] for key in data if key in _DATA_FIELDS[name]}
        unknown += len(data) - len(known_data)
        data = known_data
    event = msgspec.convert({**envelope, "data": data}, _TYPES[name])
    return content_fault(event) or event, unknown


def _flat_data(document: Mapping[str, object], fields: frozenset[str]) -> dict[str, object]:
    """What of a flat object is data. A name that both have (`revision`) is meant for both."""
    return {k: v for k, v in document.items() if k not in _ENVELOPE or k in fields}


def _refused(error: msgspec.ValidationError) -> Refused:
    """The rule that a message of msgspec stands for; quoted content is cut off."""
    what, _, place = str(error).rpartition(" - at `")
    path = place.removesuffix("`") if what else ""
    what = what or str(error)
    if what.startswith("Object missing required field `"):
        return Refused("missing_field", f"{path or '$'}.{what.split('`')[1]}", "missing")
    detail = what.split(" '")[0]
    if "with a timezone component" in what:
        return Refused("time_without_offset", path, detail)
    return Refused("wrong_type" if "`, got `" in what else "bad_value", path, detail)

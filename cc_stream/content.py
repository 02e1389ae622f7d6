"""What the type of a field cannot say: faults in the content of a decoded event."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cc_stream.events import (
    AGENT_EVENTS,
    EPOCH,
    NULL_TIME_MS,
    REFERENCE_EVENTS,
    Event,
    QueueSnapshotEvent,
    Refused,
    Survey,
    SurveySubmitted,
    key_of,
    to_ms,
)

MAX_FIELDS_BYTES: Final = 16_384
"""The fields of one piece of reference data at most; an entity's history is one record."""
MAX_DEPTH: Final = 16
"""How deep the values of reference fields may be nested, so that any reader can follow."""

_NULL_TIME: Final = EPOCH + timedelta(milliseconds=NULL_TIME_MS)
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2069
"""Between these years no time is at fault, whatever its zone: a closer look is rarely needed."""
_END: Final = datetime(2070, 1, 1, tzinfo=UTC)
"""A moment has to fit into the bucket of a vector (`counts.BUCKET_BITS`: until 2109), also after
the longest duration that an event can have (35 years) was added to it."""
END_MS: Final = to_ms(_END)


def content_fault(event: Event) -> Refused | None:
    """The first fault of an event whose types are right: its times, subject, scale or fields."""
    if not FIRST_YEAR < event.time.year < LAST_YEAR:
        fault = _time_fault(event.time, "$.time")
        if fault is not None:
            return fault
    if event.subject is not None and event.subject != (key_of(event) or event.subject):
        return Refused("subject_mismatch", "$.subject", "not the contact, agent or queue of data")
    check = _CHECKS.get(type(event))
    return None if check is None else check(event)


def _time_fault(moment: datetime, path: str) -> Refused | None:
    if _NULL_TIME < moment < _END:
        return None
    if moment >= _END:
        return Refused("bad_value", path, "after the year 2069")
    if moment == _NULL_TIME:
        return Refused("time_missing", path, "the source's way to write that it has no time")
    if moment == EPOCH:  # reference data that has always held
        return None if path == "$.data.valid_from" else Refused("bad_value", path, "1970-01-01")
    return Refused("bad_value", path, "before 1970")


def _instants(event: Event) -> Iterator[tuple[datetime, str]]:
    """The times in the data that msgspec has typed, with their paths."""
    if isinstance(event, QueueSnapshotEvent):
        for index, (_, since) in enumerate(event.data.waiting):
            yield since, f"$.data.waiting[{index}][1]"
        return
    name = "valid_from" if isinstance(event, REFERENCE_EVENTS) else "since"
    moment = getattr(event.data, name)  # type: ignore[attr-defined]
    if moment is not None:
        yield moment, f"$.data.{name}"


def _instants_fault(event: Event) -> Refused | None:
    faults = (_time_fault(moment, path) for moment, path in _instants(event))
    return next((fault for fault in faults if fault is not None), None)


def _survey_fault(event: Event) -> Refused | None:
    survey: Survey = event.data  # type: ignore[attr-defined]
    if survey.scale_min >= survey.scale_max:
        return Refused("bad_value", "$.data.scale_max", "not above scale_min")
    if not survey.scale_min <= survey.score <= survey.scale_max:
        return Refused("bad_value", "$.data.score", "outside of its scale")
    return None


def _reference_fault(event: Event) -> Refused | None:
    """Free fields have to fit into the state (msgpack), or no worker could ever save them."""
    fields = event.data.fields  # type: ignore[attr-defined]
    if _depth_exceeds(fields, MAX_DEPTH):
        return Refused("bad_value", "$.data.fields", f"nested deeper than {MAX_DEPTH}")
    try:
        size = len(msgspec.msgpack.encode(fields))
    except OverflowError:
        return Refused("bad_value", "$.data.fields", "a whole number of more than 64 bits")
    if size > MAX_FIELDS_BYTES:
        return Refused("bad_value", "$.data.fields", f"{size} bytes, at most {MAX_FIELDS_BYTES}")
    return _instants_fault(event)


def _depth_exceeds(value: object, depth: int) -> bool:
    if depth < 0:
        return True
    if isinstance(value, dict):
        return any(_depth_exceeds(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return any(_depth_exceeds(item, depth - 1) for item in value)
    return False


_CHECKS: Final[Mapping[type[Event], Callable[[Event], Refused | None]]] = {
    SurveySubmitted: _survey_fault,
    QueueSnapshotEvent: _instants_fault,
    **dict.fromkeys(AGENT_EVENTS, _instants_fault),
    **dict.fromkeys(REFERENCE_EVENTS, _reference_fault),
}

"""Payloads that no consumer may accept. None of them names a contact that exists."""

from random import Random
from typing import Final

import orjson

from cc_stream.events import to_rfc3339

BAD_KINDS: Final = (
    "not_json",
    "wrong_type",
    "missing_contact_id",
    "time_without_offset",
    "far_future",
    "unknown_type",
    "unknown_version",
)
TEN_YEARS_MS: Final = 10 * 365 * 86_400_000
"""Far beyond any broker time: a history of last week plus a day would not be in the future."""


def bad_payload(random: Random, now_ms: int, source: str, event_id: str) -> tuple[str, bytes]:
    """A bad payload that looks like a `call.queued` at `now_ms`, and its Kafka key.

    The kind is drawn from `BAD_KINDS` and stands in the id, so that a dead letter can be traced.
    Every kind fits on one line.
    """
    kind = BAD_KINDS[int(random.random() * len(BAD_KINDS))]
    return bad_payload_of(kind, now_ms, source, event_id)


def bad_payload_of(kind: str, now_ms: int, source: str, event_id: str) -> tuple[str, bytes]:
    """The bad payload of one kind, and its Kafka key."""
    contact = f"ghost-{event_id}"
    data: dict[str, object] = {"contact_id": contact, "queue": "ghost"}
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": f"{event_id}-{kind}",
        "source": source,
        "type": "cc.call.queued.v1",
        "time": to_rfc3339(now_ms),
        "subject": contact,
        "data": data,
    }
    if kind == "not_json":
        return contact, orjson.dumps(event)[:-9]
    if kind == "wrong_type":
        data["queue"] = 17
    elif kind == "missing_contact_id":
        del data["contact_id"]
    elif kind == "time_without_offset":
        event["time"] = to_rfc3339(now_ms)[:-1]
    elif kind == "far_future":
        event["time"] = to_rfc3339(now_ms + TEN_YEARS_MS)
    elif kind == "unknown_type":
        event["type"] = "cc.call.teleported.v1"
    elif kind == "unknown_version":
        event["type"] = "cc.call.queued.v9"
    return contact, orjson.dumps(event)

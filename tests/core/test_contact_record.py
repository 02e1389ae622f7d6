"""The record of a contact: each field of a contact with two legs, by hand."""

from typing import Any

import msgspec

from cc_stream.admit import Ledger, Limits, admit_call
from cc_stream.contact_log import Contact
from cc_stream.contact_record import ContactRecord, contact_record, encode
from cc_stream.events import CallStep, Step
from tests.report.feed import Feed
from tests.report.test_contacts import transferred


def contact_of(feed: Feed) -> Contact:
    ledger = Ledger(Limits(grace_ms=None))
    for event in feed.events:
        admit_call(ledger, event)
    contact = ledger.opened(("default", "c"))
    assert contact is not None
    return contact


def record_of(feed: Feed) -> dict[str, Any]:
    """The record as a reader of the topic has it."""
    record: dict[str, Any]
    record = msgspec.json.decode(encode(contact_record("default", "c", contact_of(feed))))
    return record


def test_every_field_of_a_transferred_contact() -> None:
    record = record_of(transferred())
    first, second = record.pop("segments")
    assert record == {
        "contact_id": "c",
        "tenant": "default",
        "revision": 9,
        "finished": True,
        "channel": None,
        "direction": None,
        "queue_first": "sales",
        "started_at": "2026-11-22T08:00:00.000Z",
        "ended_at": "2026-11-22T08:05:30.000Z",
        "outcomes": [
            {
                "outcome": "sale",
                "agent": None,
                "eligible": True,
                "converted": True,
                "value_minor": 4900,
                "currency": None,
                "resolved": None,
                "complaint": None,
            }
        ],
        "converted": True,
        "value_minor": 4900,
    }
    assert first == {
        "queue": "sales",
        "agent": "ann",
        "team": "north",
        "queued_at": "2026-11-22T08:00:00.000Z",
        "answered_at": "2026-11-22T08:00:10.000Z",
        "wait_seconds": 10.0,
        "left_reason": None,
        "talk_seconds": 90.0,
        "hold_seconds": 0.0,
        "wrap_seconds": 0.0,
        "ended_at": "2026-11-22T08:01:40.000Z",
        "handled_at": "2026-11-22T08:01:40.000Z",
        "transferred": True,
        "eligible": False,
        "converted": False,
        "value_minor": 0,
    }
    assert (second["queue"], second["agent"], second["wrap_seconds"]) == ("tech", "bob", 30.0)
    assert second["handled_at"] == "2026-11-22T08:06:00.000Z"


def test_a_record_is_plain_json() -> None:
    record = contact_record("default", "c", contact_of(transferred()))
    # What a reader is given is what the report compares it with.
    assert record_of(transferred()) == msgspec.to_builtins(record)
    assert msgspec.json.decode(encode(record), type=ContactRecord) == record


def test_an_abandoned_contact() -> None:
    record = record_of(Feed().queued(0, channel="chat", direction="inbound").left(42))
    (segment,) = record["segments"]
    assert (record["channel"], record["direction"]) == ("chat", "inbound")
    assert (record["finished"], record["ended_at"]) == (True, "2026-11-22T08:00:42.000Z")
    assert (segment["left_reason"], segment["wait_seconds"]) == ("abandoned", 42.0)
    assert segment["ended_at"] == record["ended_at"]
    assert segment["talk_seconds"] is segment["converted"] is None


def test_an_open_contact_is_not_finished_and_each_entry_is_a_revision() -> None:
    feed = Feed().queued(0).answered(5)
    assert not contact_of(feed).has_closed
    record = record_of(feed)
    assert (record["finished"], record["ended_at"], record["revision"]) == (False, None, 2)
    feed.add(CallStep, 8, Step("c", "solved"))
    assert record_of(feed)["revision"] == 3


def test_a_hang_up_in_the_queue_ends_the_contact() -> None:
    record = record_of(Feed().queued(0).ended(30))
    assert (record["finished"], record["ended_at"]) == (True, "2026-11-22T08:00:30.000Z")
    assert record["segments"][0]["ended_at"] is None

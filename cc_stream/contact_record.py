"""The record of one contact for a CRM: what its log tells, readable without this library.

A contact has a record from the moment on that anything of it has ended (`Contact.has_closed`); each
later entry gives the record anew with a higher `revision`, so the one with the highest counts. It
depends on the log alone: neither on the order of arrival nor on a clock.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from cc_stream.contact_log import Contact
from cc_stream.events import Outcome, to_rfc3339
from cc_stream.segment import HANDLED, Segment


class SegmentRecord(Struct, frozen=True, gc=False):
    """One queue visit and agent leg; None is what is not known, or has not happened."""

    queue: str | None
    agent: str | None
    team: str | None
    queued_at: str | None
    answered_at: str | None
    wait_seconds: float | None
    left_reason: str | None
    talk_seconds: float | None
    hold_seconds: float | None
    wrap_seconds: float | None
    ended_at: str | None
    handled_at: str | None
    transferred: bool
    eligible: bool | None
    converted: bool | None
    value_minor: int | None


class OutcomeRecord(Struct, frozen=True, gc=False):
    """What an agent or a source said of the contact's result."""

    outcome: str
    agent: str | None
    eligible: bool
    converted: bool
    value_minor: int | None
    currency: str | None
    resolved: bool | None
    complaint: bool | None


class ContactRecord(Struct, frozen=True, gc=False):
    """A contact as it leaves: UTC times in RFC 3339, durations in seconds.

    `finished`: it neither waits nor talks; `ended_at` is None before. A wrap-up or an outcome may
    still follow. `value_minor` is in the minor unit of the outcomes' currency. What is not known,
    or has not happened, is None.
    """

    contact_id: str
    tenant: str
    revision: int
    finished: bool
    channel: str | None
    direction: str | None
    queue_first: str | None
    started_at: str
    ended_at: str | None
    segments: list[SegmentRecord]
    outcomes: list[OutcomeRecord]
    converted: bool
    value_minor: int


encode: Final = msgspec.json.Encoder().encode
"""A record as JSON."""


def contact_record(tenant: str, contact_id: str, contact: Contact) -> ContactRecord:
    """What the log of a contact tells."""
    story = contact.story
    finished = not contact.is_open
    first: str | None = None
    started_ms: int | None = None
    ended_ms = story.hung_up_ms  # a hang-up that ended no leg is an end, too
    converted, value_minor = False, 0
    segments = []
    for segment in story.segments:
        start_ms, end_ms = segment.start(), _segment_ended_ms(segment)
        if started_ms is None or start_ms < started_ms:
            started_ms = start_ms
        if end_ms is not None and (ended_ms is None or end_ms > ended_ms):
            ended_ms = end_ms
        if first is None and segment.first:
            first = segment.queue
        handled: Any = segment.facts[HANDLED]
        if handled is not None:
            converted = converted or handled.converted
            value_minor += handled.value_minor
        segments.append(_segment(segment, handled, end_ms))
    return ContactRecord(
        contact_id=contact_id,
        tenant=tenant,
        revision=contact.revision,
        finished=finished,
        channel=story.channel,
        direction=story.direction,
        queue_first=first,
        started_at=to_rfc3339(contact.first_ms if started_ms is None else started_ms),
        ended_at=to_rfc3339(ended_ms) if finished and ended_ms is not None else None,
        segments=segments,
        outcomes=[_outcome(outcome) for outcome in story.outcomes],
        converted=converted,
        value_minor=value_minor,
    )


def _segment(s: Segment, handled: Any, ended_ms: int | None) -> SegmentRecord:
    queued_ms, answer_ms = s.queued_ms, s.answer()
    wait_ms = s.waited() if s.queue is not None else None
    return SegmentRecord(
        queue=s.queue,
        agent=s.agent,
        team=s.team,
        queued_at=None if queued_ms is None else to_rfc3339(queued_ms),
        answered_at=None if answer_ms is None else to_rfc3339(answer_ms),
        wait_seconds=None if wait_ms is None else wait_ms / 1000,
        left_reason=s.left_reason if s.agent is None else None,
        talk_seconds=None if handled is None else handled.talk_ms / 1000,
        hold_seconds=None if handled is None else handled.hold_ms / 1000,
        wrap_seconds=None if handled is None else handled.wrap_ms / 1000,
        ended_at=None if ended_ms is None else to_rfc3339(ended_ms),
        handled_at=None if handled is None else to_rfc3339(handled.at),
        transferred=s.transferred_ms is not None,
        eligible=None if handled is None else handled.eligible,
        converted=None if handled is None else handled.converted,
        value_minor=None if handled is None else handled.value_minor,
    )


def _segment_ended_ms(s: Segment) -> int | None:
    """When the leg ended, or the queue was left without one."""
    return s.end() if s.agent is not None else s.left_ms


def _outcome(outcome: Outcome) -> OutcomeRecord:
    eligible = outcome.eligible is not False
    return OutcomeRecord(
        outcome=outcome.outcome,
        agent=outcome.agent_id,
        eligible=eligible,
        converted=eligible and bool(outcome.converted),
        value_minor=outcome.value_minor,
        currency=outcome.currency,
        resolved=outcome.resolved,
        complaint=outcome.complaint,
    )

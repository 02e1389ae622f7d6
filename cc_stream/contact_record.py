"""The record of one contact for a CRM: what its log tells, readable without this library.

A contact has a record from the moment on that anything of it has ended (`Contact.has_closed`); each
later entry gives the record anew with a higher `revision`, so the one with the highest counts. It
depends on the log alone: neither on the order of arrival nor on a clock.
"""

from typing import Any

from cc_stream.contact_log import Contact
from cc_stream.events import Outcome, to_rfc3339
from cc_stream.segment import HANDLED, Segment

Record = dict[str, Any]


def contact_record(tenant: str, contact_id: str, contact: Contact) -> Record:
    """The record as plain JSON values: UTC times in RFC 3339, durations in seconds.

    `finished`: it neither waits nor talks; `ended_at` is None before. A wrap-up or an outcome may
    still follow. `value_minor` is in the minor unit of the outcomes' currency. What is not known,
    or has not happened, is None.
    """
    story = contact.story
    segments = [_segment(segment) for segment in story.segments]
    finished = not contact.is_open
    starts = [segment.start() for segment in story.segments]
    return {
        "contact_id": contact_id,
        "tenant": tenant,
        "revision": contact.revision,
        "finished": finished,
        "channel": story.channel,
        "direction": story.direction,
        "queue_first": next((s.queue for s in story.segments if s.first), None),
        "started_at": to_rfc3339(min(starts, default=contact.first_ms)),
        "ended_at": _moment(_ended_ms(contact)) if finished else None,
        "segments": segments,
        "outcomes": [_outcome(outcome) for outcome in story.outcomes],
        "converted": any(segment["converted"] for segment in segments),
        "value_minor": sum(segment["value_minor"] or 0 for segment in segments),
    }


def _segment(s: Segment) -> Record:
    handled: Any = s.facts[HANDLED]
    return {
        "queue": s.queue,
        "agent": s.agent,
        "team": s.team,
        "queued_at": _moment(s.queued_ms),
        "answered_at": _moment(s.answer()),
        "wait_seconds": _seconds(s.waited()) if s.queue is not None else None,
        "left_reason": s.left_reason if s.agent is None else None,
        "talk_seconds": _seconds(handled.talk_ms if handled else None),
        "hold_seconds": _seconds(handled.hold_ms if handled else None),
        "wrap_seconds": _seconds(handled.wrap_ms if handled else None),
        "ended_at": _moment(_segment_ended_ms(s)),
        "handled_at": _moment(handled.at if handled else None),
        "transferred": s.transferred_ms is not None,
        "eligible": handled.eligible if handled else None,
        "converted": handled.converted if handled else None,
        "value_minor": handled.value_minor if handled else None,
    }


def _segment_ended_ms(s: Segment) -> int | None:
    """When the leg ended, or the queue was left without one."""
    return s.end() if s.agent is not None else s.left_ms


def _ended_ms(contact: Contact) -> int | None:
    """The last of what ended; a hang-up that ended no leg is one, too."""
    ends = [_segment_ended_ms(segment) for segment in contact.story.segments]
    ends.append(contact.story.hung_up_ms)
    return max((end for end in ends if end is not None), default=None)


def _outcome(outcome: Outcome) -> Record:
    return {
        "outcome": outcome.outcome,
        "agent": outcome.agent_id,
        "eligible": outcome.eligible is not False,
        "converted": outcome.eligible is not False and bool(outcome.converted),
        "value_minor": outcome.value_minor,
        "currency": outcome.currency,
        "resolved": outcome.resolved,
        "complaint": outcome.complaint,
    }


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000

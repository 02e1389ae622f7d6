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
    return {
        "contact_id": contact_id,
        "tenant": tenant,
        "revision": contact.revision,
        "finished": finished,
        "channel": story.channel,
        "direction": story.direction,
        "queue_first": first,
        "started_at": to_rfc3339(contact.first_ms if started_ms is None else started_ms),
        "ended_at": to_rfc3339(ended_ms) if finished and ended_ms is not None else None,
        "segments": segments,
        "outcomes": [_outcome(outcome) for outcome in story.outcomes],
        "converted": converted,
        "value_minor": value_minor,
    }


def _segment(s: Segment, handled: Any, ended_ms: int | None) -> Record:
    queue, agent = s.queue, s.agent
    queued_ms, answer_ms = s.queued_ms, s.answer()
    wait_ms = s.waited() if queue is not None else None
    record: Record = {
        "queue": queue,
        "agent": agent,
        "team": s.team,
        "queued_at": None if queued_ms is None else to_rfc3339(queued_ms),
        "answered_at": None if answer_ms is None else to_rfc3339(answer_ms),
        "wait_seconds": None if wait_ms is None else wait_ms / 1000,
        "left_reason": s.left_reason if agent is None else None,
        "talk_seconds": None,
        "hold_seconds": None,
        "wrap_seconds": None,
        "ended_at": None if ended_ms is None else to_rfc3339(ended_ms),
        "handled_at": None,
        "transferred": s.transferred_ms is not None,
        "eligible": None,
        "converted": None,
        "value_minor": None,
    }
    if handled is not None:
        record["talk_seconds"] = handled.talk_ms / 1000
        record["hold_seconds"] = handled.hold_ms / 1000
        record["wrap_seconds"] = handled.wrap_ms / 1000
        record["handled_at"] = to_rfc3339(handled.at)
        record["eligible"] = handled.eligible
        record["converted"] = handled.converted
        record["value_minor"] = handled.value_minor
    return record


def _segment_ended_ms(s: Segment) -> int | None:
    """When the leg ended, or the queue was left without one."""
    return s.end() if s.agent is not None else s.left_ms


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

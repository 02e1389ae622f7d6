"""Calls of a queue_log: from entering a queue to leaving it, and the legs of agents between."""

import re
from typing import Final, Literal

from msgspec.structs import replace

from cc_stream.events import (
    Answered,
    CallAnswered,
    CallDequeued,
    CallEnded,
    CallOfferFailed,
    CallQueued,
    CallRejected,
    CallStep,
    CallTransferred,
    Dequeued,
    Ended,
    ExitReason,
    OfferFailed,
    OfferFailReason,
    Queued,
    Rejected,
    RejectReason,
    Step,
    TransferKind,
    Transferred,
    WrapupStarted,
    WrapupStartedEvent,
)
from cc_stream.sources.asterisk_queue_log.agents import begin_wrapup, connect, find_leg, release
from cc_stream.sources.asterisk_queue_log.callers import hash_caller
from cc_stream.sources.asterisk_queue_log.line import (
    NO_CONTACT,
    Line,
    agent_id,
    contact_id,
    duration_ms,
    position,
    queue_name,
    text,
    to_duration_ms,
)
from cc_stream.sources.asterisk_queue_log.work import (
    Agent,
    Call,
    Handler,
    Leg,
    LegEnd,
    Place,
    Stamp,
    Work,
)

REPEAT_MS: Final = 60_000
"""A second exit from the same queue within this time is the same exit, told twice."""
CLAIM_TOLERANCE_MS: Final = 1000


def _contact(work: Work, line: Line) -> str:
    """The contact of a line: of a second leg that was joined, the first one's."""
    callid = contact_id(line)
    return work.aliases.get(callid, (callid, 0))[0]


def _call(work: Work, contact: str, stamp: Stamp) -> Call:
    return replace(work.calls.get(contact, Call()), touched_ms=stamp.ms)


def _enter(work: Work, line: Line, stamp: Stamp) -> None:
    contact, queue = _contact(work, line), queue_name(line)
    place = Place(queue, stamp.ms, f"{stamp.id}.call", stamp.sequence)
    call = _call(work, contact, stamp)
    work.calls[contact] = replace(call, places=(*call.places, place))
    caller = hash_caller(text(line, 2), work.options.caller_hash_key)
    data = Queued(contact, queue, None, "voice", None, caller, position(line, 3))
    work.emit(CallQueued, data, id=place.event, ms=stamp.ms, sequence=stamp.sequence)


def _refuse_by(reason: RejectReason) -> Handler:
    def handle(work: Work, line: Line, stamp: Stamp) -> None:
        data = Rejected(_contact(work, line), queue_name(line), reason)
        work.emit(CallRejected, data, id=f"{stamp.id}.call", ms=stamp.ms, sequence=stamp.sequence)

    return handle


def _fail_by(reason: OfferFailReason) -> Handler:
    def handle(work: Work, line: Line, stamp: Stamp) -> None:
        contact, agent, queue = _contact(work, line), agent_id(line), queue_name(line)
        ring_ms = duration_ms(line, 1, unit_ms=1) if reason != "dumped" else None
        data = OfferFailed(contact, agent, queue, None, ring_ms, reason)
        at = f"{stamp.id}.call"
        work.emit(CallOfferFailed, data, id=at, ms=stamp.ms, sequence=stamp.sequence)

    return handle


def _connect(work: Work, line: Line, stamp: Stamp) -> None:
    contact, agent, queue = _contact(work, line), agent_id(line), queue_name(line)
    wait_ms, ring_ms = duration_ms(line, 1), duration_ms(line, 3)
    _claim_place(work, contact, queue, wait_ms, stamp)
    call = _call(work, contact, stamp)
    places = tuple(place for place in call.places if place.queue != queue)
    work.calls[contact] = replace(call, places=places, legs=call.legs + 1, passed_on=False)
    data = Answered(contact, agent, queue, wait_ms=wait_ms, ring_ms=ring_ms)
    at = f"{stamp.id}.call"
    work.emit(CallAnswered, data, id=at, ms=stamp.ms, sequence=stamp.sequence + 2)
    connect(work, agent, Leg(contact, queue, stamp.ms), stamp)


def _complete_by(who: Literal["agent", "customer"]) -> Handler:
    def handle(work: Work, line: Line, stamp: Stamp) -> None:
        end = _leg_end(work, line, duration_ms(line, 1), duration_ms(line, 2))
        leg = find_leg(work, end, stamp.ms)
        end = replace(end, contact=leg.contact) if leg else end
        _end_leg(work, end, leg, stamp)
        data = Ended(end.contact, end.agent, end.queue, None, who, end.wait_ms, end.talk_ms)
        at = f"{stamp.id}.call"
        work.emit(CallEnded, data, id=at, ms=stamp.ms, sequence=stamp.sequence)
        release(work, end, leg, stamp)

    return handle


def _leg_end(work: Work, line: Line, wait_ms: int | None, talk_ms: int | None) -> LegEnd:
    return LegEnd(_contact(work, line), agent_id(line), queue_name(line), wait_ms, talk_ms)


def _end_leg(
    work: Work, end: LegEnd, leg: Leg | None, stamp: Stamp, *, passed_on: bool = False
) -> None:
    """One agent less talks to the contact; without a leg, its CONNECT was not seen."""
    call = _call(work, end.contact, stamp)
    legs = max(0, call.legs - (1 if leg else 0))
    places = call.places
    if leg is None:
        places = tuple(place for place in places if place.queue != end.queue)
    work.calls[end.contact] = replace(call, legs=legs, places=places, passed_on=passed_on)


def _blind_transfer(work: Work, line: Line, stamp: Stamp) -> None:
    # Old exchanges write exten@context in one column: then the others move up.
    first = 2 if "@" in text(line, 1) else 3
    end = _leg_end(work, line, duration_ms(line, first), duration_ms(line, first + 1))
    _transfer(work, end, "blind", stamp)


def _attended_transfer(work: Work, line: Line, stamp: Stamp) -> None:
    # A writer with five data columns packs what is left into the fifth.
    columns = [*line.params[:4], *re.split(r"[|,]", "|".join(line.params[4:]))]
    first = 3 if columns[0] == "LINK" else 2
    wait, talk = [*columns[first:], "", ""][:2]
    wait_ms, talk_ms = to_duration_ms(wait, "$.holdtime"), to_duration_ms(talk, "$.talktime")
    _transfer(work, _leg_end(work, line, wait_ms, talk_ms), "attended", stamp)


def _transfer(work: Work, end: LegEnd, kind: TransferKind, stamp: Stamp) -> None:
    is_attended, named = kind == "attended", end.contact
    leg = find_leg(work, end, stamp.ms, any_leg=is_attended)
    end = replace(end, contact=leg.contact) if leg else end
    _end_leg(work, end, leg, stamp, passed_on=is_attended)
    if end.contact != named and not work.calls.get(named, Call()).legs:
        _join(work, named, end.contact, stamp)
    data = Transferred(
        end.contact, end.agent, kind, talk_ms=end.talk_ms, queue=end.queue, wait_ms=end.wait_ms
    )
    at = f"{stamp.id}.call"
    work.emit(CallTransferred, data, id=at, ms=stamp.ms, sequence=stamp.sequence)
    release(work, end, leg, stamp)


def _join(work: Work, old: str, new: str, stamp: Stamp) -> None:
    """A second leg belongs to the first contact from now on, with its places."""
    for callid, (contact, _) in list(work.aliases.items()):
        if contact == old:
            work.aliases[callid] = (new, stamp.ms)
    work.aliases[old] = (new, stamp.ms)
    for place in work.calls.pop(old, Call()).places:
        _move_place(work, old, new, place, stamp)


def _move_place(work: Work, old: str, new: str, place: Place, stamp: Stamp) -> None:
    """Give the place of a second leg to the first contact.

    The queued event of the second leg is replaced by one that counts nothing: it was no contact.
    """
    at, sequence = place.since_ms, place.sequence
    step = Step(old, "consultation")
    work.emit(CallStep, step, id=place.event, ms=at, sequence=sequence, revision=1)
    moved = replace(place, event=f"{place.event}.moved")
    data = Queued(new, place.queue, None, "voice")
    work.emit(CallQueued, data, id=moved.event, ms=at, sequence=sequence)
    call = _call(work, new, stamp)
    work.calls[new] = replace(call, places=(*call.places, moved))


def _claim_place(work: Work, contact: str, queue: str, wait_ms: int | None, stamp: Stamp) -> None:
    """After an attended transfer, take over the place whose entry and wait fit, if just one does.

    The transfer came under the first callid, so nothing named the second leg: only the time from
    its ENTERQUEUE to this line, which is the hold time that this line gives.
    """
    call = work.calls.get(contact)
    if call is None or not call.passed_on or wait_ms is None:
        return
    if any(place.queue == queue for place in call.places):
        return
    fits = [
        other
        for other, waiting in work.calls.items()
        for place in waiting.places
        if place.queue == queue and abs(place.since_ms + wait_ms - stamp.ms) <= CLAIM_TOLERANCE_MS
    ]
    if len(fits) == 1:
        _join(work, fits[0], contact, stamp)


def _leave_by(reason: ExitReason, wait_param: int) -> Handler:
    def handle(work: Work, line: Line, stamp: Stamp) -> None:
        contact, queue = _contact(work, line), queue_name(line)
        wait_ms = duration_ms(line, wait_param)
        _claim_place(work, contact, queue, wait_ms, stamp)
        call = _call(work, contact, stamp)
        is_waiting = any(place.queue == queue for place in call.places)
        repeats = call.left_queue == queue and abs(stamp.ms - call.left_ms) <= REPEAT_MS
        if repeats and not is_waiting:
            work.ignore(f"{line.verb} repeated")
            return
        places = tuple(place for place in call.places if place.queue != queue)
        work.calls[contact] = replace(
            call, places=places, passed_on=False, left_queue=queue, left_ms=stamp.ms
        )
        data = Dequeued(contact, queue, reason, wait_ms, position(line, wait_param - 2))
        at = f"{stamp.id}.call"
        work.emit(CallDequeued, data, id=at, ms=stamp.ms, sequence=stamp.sequence + 2)

    return handle


def _wrapup(work: Work, line: Line, stamp: Stamp) -> None:
    agent, planned_ms = agent_id(line), duration_ms(line, 1)
    last = work.agents.get(agent, Agent()).last_contact
    contact = last if line.callid in NO_CONTACT else _contact(work, line)
    if contact:
        data = WrapupStarted(contact, agent, planned_ms)
        at = f"{stamp.id}.call"
        work.emit(WrapupStartedEvent, data, id=at, ms=stamp.ms, sequence=stamp.sequence)
    if planned_ms:
        begin_wrapup(work, agent, planned_ms, stamp)


CALL_VERBS: Final[dict[str, Handler]] = {
    "ENTERQUEUE": _enter,
    "RINGNOANSWER": _fail_by("no_answer"),
    "RINGCANCELED": _fail_by("canceled"),
    "AGENTDUMP": _fail_by("dumped"),
    "CONNECT": _connect,
    "COMPLETEAGENT": _complete_by("agent"),
    "COMPLETECALLER": _complete_by("customer"),
    "BLINDTRANSFER": _blind_transfer,
    "TRANSFER": _blind_transfer,
    "ATTENDEDTRANSFER": _attended_transfer,
    "ABANDON": _leave_by("abandoned", 3),
    "EXITWITHTIMEOUT": _leave_by("timeout", 3),
    "EXITEMPTY": _leave_by("empty", 3),
    "LEAVEEMPTY": _leave_by("empty", 3),
    "WITHDRAW": _leave_by("withdrawn", 3),
    "EXITWITHKEY": _leave_by("key", 4),
    "WRAPUPSTART": _wrapup,
    "FULL": _refuse_by("full"),
    "CLOSED": _refuse_by("closed"),
    "JOINEMPTY": _refuse_by("join_empty"),
}
DIVERT: Final[tuple[str, Handler]] = ("DIVERT_", _refuse_by("divert"))

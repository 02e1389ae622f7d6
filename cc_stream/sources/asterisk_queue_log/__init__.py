"""Asterisk `queue_log`: `epoch|callid|queue|agent|verb|p1|p2|p3|p4|p5`, one line an event.

Sources: docs.asterisk.org (Operation, Logging, Queue Logs) and `apps/app_queue.c`; WRAPUPSTART,
FULL, CLOSED, JOINEMPTY, LEAVEEMPTY and DIVERT_* are of Wazo. Times are epoch seconds (UTC), the
order of the file is the order of writing, and there is no event id.

| verb | parameters | event |
|---|---|---|
| QUEUESTART, CONFIGRELOAD, SYSCOMPAT | | source.restarted |
| ENTERQUEUE | url, caller id, position | call.queued |
| RINGNOANSWER, RINGCANCELED | ms | call.offer_failed: no_answer, canceled |
| AGENTDUMP | | call.offer_failed: dumped; the caller waits on |
| CONNECT | hold s, bridged id, ring s | call.answered; agent on_contact |
| COMPLETEAGENT, COMPLETECALLER | hold s, talk s, position | call.ended; agent's presence |
| ABANDON | position, original position, wait s | call.dequeued: abandoned |
| EXITWITHTIMEOUT, EXITEMPTY, LEAVEEMPTY | the same | call.dequeued: timeout, empty |
| WITHDRAW | the same, info | call.dequeued: withdrawn |
| EXITWITHKEY | key, position, original position, wait s | call.dequeued: key |
| BLINDTRANSFER, TRANSFER | exten, context, hold s, talk s, position | call.transferred: blind |
| ATTENDEDTRANSFER | BRIDGE,id or APP,app or LINK,c1,c2; hold s, talk s, position | … attended |
| WRAPUPSTART | planned s | wrapup.started; agent wrapup, then presence |
| FULL, CLOSED, JOINEMPTY, DIVERT_* | | call.rejected |
| ADDMEMBER, REMOVEMEMBER | `PAUSED` | agent.state_changed |
| AGENTLOGIN, AGENTCALLBACKLOGIN, AGENTLOGOFF, AGENTCALLBACKLOGOFF | | agent.state_changed |
| PAUSE, UNPAUSE, PAUSEALL, UNPAUSEALL | reason | agent.state_changed: break, available |
| DID, INFO, PENALTY, RINGINUSE, others | | none, counted by verb |

Traps, and what is done about them:

* **Id.** A hash of the line's content and of how many equal lines its second had before. So a line
  has the same id however often and from wherever the file is read, and two rings in vain of one
  second are two. One line can give several events: the id has a suffix for each.
* **One-second resolution.** `sequence` is the number of the line within its second (times 8), so
  the order of the file breaks ties, and does not depend on where reading began.
* **callid** NONE, REALTIME, MANAGER, CLI are no contacts. The same callid in two queues is one
  contact with two segments. No segment ids are given: an attended transfer could not keep them.
* **ENTERQUEUE may be missing** (a rotated log, a call picked up from parking): later events carry
  queue, wait and talk, from which the core derives the start.
* **ATTENDEDTRANSFER** may come under the callid of the second leg: it ends the agent's open leg of
  that queue (the one that began at end − talk). From then on the second callid belongs to the first
  contact: its place in the next queue is given to the first contact with its original time, and the
  second leg's call.queued is replaced (revision 1) by a call.step `consultation`, which counts
  nothing. So nobody is left waiting, and the entry counts once. Where the transfer came under the
  first callid, the CONNECT (or exit) that follows claims the place that its hold time fits. Was the
  second leg answered before the transfer, it keeps its own callid: its segment is complete.
  The parameters of LINK are one more; a writer with five columns packs the rest into the fifth.
* **ABANDON can be written twice** (app_queue.c: caller gone during the announcement to the agent).
* **COMPLETE and transfer without CONNECT**: `on_contact` is told with its time end − talk.
* **A pause during a call or wrap-up** is told when that ends; a presence would end the activity.
* **Several queues.** Members that were added are on break when paused in all their queues; of
  static members the queues are not known, so any PAUSE is a break. A pause of all is written as
  PAUSEALL (under the interface, whatever `log_membername_as_agent` says) and a PAUSE per queue:
  repeats tell nothing. REMOVEMEMBER from the last queue is offline.
* **Wrap-up** has a planned end and no line for it. The state that follows is told by the next line
  at or after that moment, with the moment's own time and id; by `flush` where no line comes. The
  agent's next CONNECT ends it earlier.
* **QUEUESTART closes nothing**, but a leg from before it ends at the agent's next call or presence.
* **Caller ids** never pass: a keyed hash, or nothing.
* **Database-backed logs** write local time: refused (`time_without_offset`), never guessed.
* A byte-order mark, CRLF, an empty last column, Latin-1 names and fractional epochs are read.

What is remembered is bounded: open calls and legs for 24 h of log time, closed calls for a minute,
agents for 30 days.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from cc_stream.events import SourceRestarted, SourceRestartedEvent
from cc_stream.sources.asterisk_queue_log.agents import MEMBER_VERBS, doubt_legs, finish_wraps
from cc_stream.sources.asterisk_queue_log.calls import CALL_VERBS, DIVERT
from cc_stream.sources.asterisk_queue_log.line import Line, content_of, parse
from cc_stream.sources.asterisk_queue_log.work import (
    SEQUENCE_STEP,
    Call,
    Handler,
    Second,
    Stamp,
    State,
    Work,
)
from cc_stream.sources.source import Folded, MalformedError, Options, Refusal, Source

CLOSED_KEPT_MS: Final = 60_000
OPEN_KEPT_MS: Final = 24 * 3_600_000
AGENT_KEPT_MS: Final = 30 * OPEN_KEPT_MS
SECONDS_KEPT: Final = 2
"""Lines of one second are written together: threads disagree by less."""


def fold(state: State, lines: Sequence[bytes], options: Options) -> Folded[State]:
    """Read lines in the order of the file. Blank ones are passed over."""
    work = Work(state, options)
    refused = []
    for index, payload in enumerate(lines):
        content = content_of(payload)
        if not content:
            continue
        try:
            _read(work, content)
        except MalformedError as error:
            refused.append(Refusal(index, payload, error.why))
    return Folded(work.state(), work.events, refused, work.ignored)


def flush(state: State, options: Options, until_ms: int | None) -> Folded[State]:
    """Tell the end of the wrap-ups that are over by `until_ms` (None: of all)."""
    work = Work(state, options)
    finish_wraps(work, until_ms)
    return Folded(work.state(), work.events)


def _read(work: Work, content: bytes) -> None:
    line = parse(content)
    stamp = _stamp(work, content, line.ms)
    finish_wraps(work, line.ms)
    _sweep(work, line.ms)
    handle = _HANDLERS.get(line.verb)
    if handle is None and line.verb.startswith(DIVERT[0]):
        handle = DIVERT[1]
    if handle is None:
        work.ignore(line.verb)
    else:
        handle(work, line, stamp)


def _stamp(work: Work, content: bytes, ms: int) -> Stamp:
    digest = blake2b(content, digest_size=16).hexdigest()
    second = ms // 1000
    known = work.seconds.get(second)
    if known is None:
        work.seconds = {
            s: kept for s, kept in work.seconds.items() if abs(s - second) <= SECONDS_KEPT
        }
        known = Second(0, {})
        work.seconds[second] = known
    known.lines += 1
    times = known.seen[digest] = known.seen.get(digest, 0) + 1
    line_id = digest if times == 1 else f"{digest}-{times}"
    return Stamp(line_id, ms, known.lines * SEQUENCE_STEP)


def _sweep(work: Work, ms: int) -> None:
    """Once a minute of log time, forget what no line will mean any more."""
    if abs(ms - work.swept_ms) < CLOSED_KEPT_MS:
        return
    work.swept_ms = ms
    work.calls = {name: call for name, call in work.calls.items() if _is_kept(call, ms)}
    work.aliases = {
        name: alias for name, alias in work.aliases.items() if ms - alias[1] <= OPEN_KEPT_MS
    }
    for name, agent in list(work.agents.items()):
        legs = tuple(leg for leg in agent.legs if ms - leg.since_ms <= OPEN_KEPT_MS)
        if not legs and ms - agent.seen_ms > AGENT_KEPT_MS:
            del work.agents[name]
            work.wraps.pop(name, None)
        elif len(legs) != len(agent.legs):
            work.agents[name] = replace(agent, legs=legs)


def _is_kept(call: Call, ms: int) -> bool:
    is_open = call.places or call.legs or call.passed_on
    return ms - call.touched_ms <= (OPEN_KEPT_MS if is_open else CLOSED_KEPT_MS)


def _restart(work: Work, line: Line, stamp: Stamp) -> None:
    if line.verb == "QUEUESTART":
        doubt_legs(work)
    data = SourceRestarted(reason=line.verb)
    at = f"{stamp.id}.source"
    work.emit(SourceRestartedEvent, data, id=at, ms=stamp.ms, sequence=stamp.sequence)


_HANDLERS: Final[dict[str, Handler]] = {
    "QUEUESTART": _restart,
    "CONFIGRELOAD": _restart,
    "SYSCOMPAT": _restart,
    **CALL_VERBS,
    **MEMBER_VERBS,
}

ASTERISK_QUEUE_LOG: Final[Source[State]] = Source(
    name="asterisk-queue-log",
    default_source="/asterisk/queue_log",
    state_type=State,
    start=State,
    fold=fold,
    flush=flush,
)

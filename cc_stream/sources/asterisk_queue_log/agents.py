"""Agents of a queue_log: presence from member lines, activity from the calls they take.

The state that is told is a function of what is known of the agent: on contact while a leg is open,
else in wrap-up until its planned end, else offline, on break or available. So a pause asked for
during a call or a wrap-up is told when that ends, and a repeat tells nothing.
"""

from typing import Final

from msgspec.structs import replace

from cc_stream.content import END_MS
from cc_stream.events import (
    ACTIVITIES,
    NULL_TIME_MS,
    AgentState,
    AgentStateChanged,
    AgentStateChangedEvent,
)
from cc_stream.sources.asterisk_queue_log.line import NOBODY, Line, agent_id, queue_name, text
from cc_stream.sources.asterisk_queue_log.work import (
    SEQUENCE_STEP,
    Agent,
    Handler,
    Leg,
    LegEnd,
    Stamp,
    Work,
)

MAX_REASON: Final = 1024
LEG_TOLERANCE_MS: Final = 2000
"""How far a leg's start may be from end − talk: both are cut off to whole seconds."""


def state_of(agent: Agent, ms: int) -> AgentState:
    """The state at a moment, as far as the lines until then tell it."""
    if agent.legs:
        return "on_contact"
    if agent.wrap_until_ms > ms:
        return "wrapup"
    if agent.is_offline:
        return "offline"
    everywhere = set(agent.queues) <= set(agent.paused)
    is_paused = everywhere if agent.queues else agent.is_paused
    return "break" if is_paused else "available"


def tell(work: Work, name: str, agent: Agent, stamp: Stamp, part: str = "agent") -> None:
    """Keep the agent, and emit its state if that is another one than was told last."""
    state = state_of(agent, stamp.ms)
    agent = replace(agent, seen_ms=stamp.ms)
    if state != agent.told or (state not in ACTIVITIES and agent.queues != agent.told_queues):
        agent = replace(agent, told=state, told_queues=agent.queues, told_ms=stamp.ms)
        _emit_state(work, name, agent, stamp, part)
    work.agents[name] = agent
    if agent.wrap_until_ms > stamp.ms:
        work.wraps[name] = agent.wrap_until_ms
    else:
        work.wraps.pop(name, None)


def _emit_state(work: Work, name: str, agent: Agent, stamp: Stamp, part: str) -> None:
    data = AgentStateChanged(
        agent_id=name,
        state=agent.told,  # type: ignore[arg-type]  # kept as text
        reason=agent.reason if agent.told == "break" else None,
        queues=agent.queues or None,
    )
    # Behind the events of calls of the same line.
    sequence = stamp.sequence + SEQUENCE_STEP - 1
    at = f"{stamp.id}.{part}"
    work.emit(AgentStateChangedEvent, data, id=at, ms=stamp.ms, sequence=sequence)


def finish_wraps(work: Work, until_ms: int | None) -> None:
    """Tell the end of every wrap-up that is over by a moment (None: of all).

    The event's id and time come from the start of the wrap-up, so it does not matter which line
    brought it out.
    """
    if not work.wraps:
        return
    due = [n for n, end_ms in work.wraps.items() if until_ms is None or end_ms <= until_ms]
    for name in sorted(due, key=lambda n: (work.wraps[n], n)):
        end_ms = work.wraps.pop(name)
        agent = replace(work.agents[name], wrap_until_ms=0)
        if agent.legs:  # the wrap-up of one call under the next one
            work.agents[name] = agent
        else:
            tell(work, name, agent, Stamp(agent.wrap_id, end_ms, 0), "wrap_end")


def connect(work: Work, name: str, leg: Leg, stamp: Stamp) -> None:
    """The agent takes a call: that ends a wrap-up, and shows that the agent is there."""
    agent = _without_doubtful(work.agents.get(name, Agent()))
    legs = tuple(x for x in agent.legs if (x.contact, x.queue) != (leg.contact, leg.queue))
    agent = replace(agent, legs=(*legs, leg), wrap_until_ms=0, is_offline=False)
    tell(work, name, agent, stamp)


def find_leg(work: Work, end: LegEnd, ms: int, *, any_leg: bool = False) -> Leg | None:
    """The agent's open leg that a line about its end means.

    The one of this contact, else the one of this queue that began when end − talk says (after a
    transfer, the callid can be the other leg's). With `any_leg`, else the newest of this queue.
    """
    legs = work.agents.get(end.agent, Agent()).legs
    mine = [leg for leg in legs if leg.contact == end.contact]
    if mine:
        return max(mine, key=lambda leg: (leg.queue == end.queue, leg.since_ms))
    here = [leg for leg in legs if leg.queue == end.queue]
    timely = []
    if end.talk_ms is not None:
        since_ms = ms - end.talk_ms
        timely = [leg for leg in here if abs(leg.since_ms - since_ms) <= LEG_TOLERANCE_MS]
    if timely or (any_leg and here):
        return max(timely or here, key=lambda leg: leg.since_ms)
    return None


def release(work: Work, end: LegEnd, leg: Leg | None, stamp: Stamp) -> None:
    """The agent's leg ended. Where its start was not seen, talk time tells when it began."""
    agent = work.agents.get(end.agent, Agent())
    since_ms = stamp.ms - (end.talk_ms or 0)
    is_time = since_ms > NULL_TIME_MS and since_ms >= agent.told_ms
    if leg is None and not agent.legs and end.talk_ms and is_time:
        agent = replace(agent, told="on_contact", told_ms=since_ms)
        start = Stamp(stamp.id, since_ms, stamp.sequence)
        _emit_state(work, end.agent, agent, start, "agent_since")
    legs = tuple(x for x in agent.legs if x is not leg)
    tell(work, end.agent, replace(agent, legs=legs, last_contact=end.contact), stamp)


def begin_wrapup(work: Work, name: str, planned_ms: int, stamp: Stamp) -> None:
    """The agent wraps up for the planned time; while a leg is still open, from its end on."""
    agent = work.agents.get(name, Agent())
    planned_until_ms = min(stamp.ms + planned_ms, END_MS - 1)
    until_ms = max(agent.wrap_until_ms, planned_until_ms)
    tell(work, name, replace(agent, wrap_until_ms=until_ms, wrap_id=stamp.id), stamp)


def doubt_legs(work: Work) -> None:
    """The exchange was restarted: legs stay open, but no longer than the agent's next call."""
    for name, agent in work.agents.items():
        if agent.legs:
            legs = tuple(replace(leg, doubtful=True) for leg in agent.legs)
            work.agents[name] = replace(agent, legs=legs)


def _without_doubtful(agent: Agent) -> Agent:
    return replace(agent, legs=tuple(leg for leg in agent.legs if not leg.doubtful))


def _present(work: Work, name: str) -> Agent:
    """The agent, about to tell its presence: a leg from before a restart does not outlast that."""
    return _without_doubtful(work.agents.get(name, Agent()))


def _add_member(work: Work, line: Line, stamp: Stamp) -> None:
    name, queue = agent_id(line), queue_name(line)
    agent = _present(work, name)
    paused = tuple(q for q in agent.paused if q != queue)
    if text(line, 1).upper() == "PAUSED":
        paused = (*paused, queue)
    queues = tuple(sorted({*agent.queues, queue}))
    tell(work, name, replace(agent, queues=queues, paused=paused, is_offline=False), stamp)


def _remove_member(work: Work, line: Line, stamp: Stamp) -> None:
    name, queue = agent_id(line), queue_name(line)
    agent = _present(work, name)
    queues = tuple(q for q in agent.queues if q != queue)
    paused = tuple(q for q in agent.paused if q != queue)
    agent = replace(agent, queues=queues, paused=paused)
    tell(work, name, agent if queues else _gone(agent), stamp)


def _gone(agent: Agent) -> Agent:
    return replace(agent, is_offline=True, is_paused=False, paused=(), wrap_until_ms=0)


def _log_in(work: Work, line: Line, stamp: Stamp) -> None:
    name = agent_id(line)
    agent = replace(_present(work, name), is_offline=False, is_paused=False, paused=())
    tell(work, name, agent, stamp)


def _log_off(work: Work, line: Line, stamp: Stamp) -> None:
    name = agent_id(line)
    tell(work, name, _gone(_present(work, name)), stamp)


def _pause(work: Work, line: Line, stamp: Stamp) -> None:
    name = agent_id(line)
    agent = _present(work, name)
    paused = agent.queues if line.queue in NOBODY else tuple(sorted({*agent.paused, line.queue}))
    reason = text(line, 1)[:MAX_REASON] or agent.reason
    tell(work, name, replace(agent, paused=paused, is_paused=True, reason=reason), stamp)


def _unpause(work: Work, line: Line, stamp: Stamp) -> None:
    name = agent_id(line)
    agent = _present(work, name)
    everywhere = line.queue in NOBODY
    paused = () if everywhere else tuple(q for q in agent.paused if q != line.queue)
    tell(work, name, replace(agent, paused=paused, is_paused=False, reason=None), stamp)


MEMBER_VERBS: Final[dict[str, Handler]] = {
    "ADDMEMBER": _add_member,
    "REMOVEMEMBER": _remove_member,
    "AGENTLOGIN": _log_in,
    "AGENTCALLBACKLOGIN": _log_in,
    "AGENTLOGOFF": _log_off,
    "AGENTCALLBACKLOGOFF": _log_off,
    "PAUSE": _pause,
    "PAUSEALL": _pause,
    "UNPAUSE": _unpause,
    "UNPAUSEALL": _unpause,
}

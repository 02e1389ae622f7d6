"""Contacts wait, agents are free, and one is offered to the other."""

from typing import Final

from cc_stream.simulate.state import (
    GONE,
    RINGING,
    WAITING,
    Agent,
    Contact,
    Floor,
    Leg,
    Queue,
    Todo,
)

REJECTED: Final = 0.002
FULL_AT: Final = 3
"""A queue with this many contacts waiting for each seat takes no more."""
NO_ANSWER: Final = 0.012
NOT_REJECTED: Final = 0.8
NO_ANSWER_MS: Final = (12_000, 20_000)
AWAY_AFTER_NO_ANSWER_MS: Final = (30_000, 120_000)
CAMPAIGN: Final = 0.25
OTHER_EXITS: Final = (("key", 0.04), ("callback", 0.08), ("withdrawn", 0.09), ("empty", 0.095),
                      ("overflow", 0.11))  # fmt: skip
"""Cumulative shares of those who would give up but leave the queue in another way."""
PAUSE_MS: Final = 900
"""An agent who logged in, or whose caller hung up, is ready again after this."""
STEP_AWAY_MS: Final = 1_500


def arrive(floor: Floor, now_ms: int, queue: Queue, _detail: object) -> None:
    """A new contact comes to a queue."""
    random = floor.random
    floor.later(floor.demand.next_arrival(queue.index, now_ms, random), Todo.ARRIVE, queue)
    contact = floor.new_contact(queue)
    full = len(queue.waiting) >= FULL_AT * floor.settings.seats
    if full or random.random() < REJECTED:
        reason = "full" if full else "closed"
        floor.say(
            now_ms, contact, "call.rejected.v1", f',"queue":"{queue.name}","reason":"{reason}"'
        )
        return
    enter(floor, now_ms, contact, queue)


def enter(floor: Floor, now_ms: int, contact: Contact, queue: Queue) -> None:
    """A contact enters a queue, for the first time or by a transfer."""
    random = floor.random
    contact.queue = queue
    contact.segment += 1
    contact.phase = WAITING
    contact.queued_ms = now_ms
    more = ""
    if contact.segment == 1:
        campaigns = floor.settings.campaigns
        more = f',"direction":"inbound","caller_hash":"h{random.getrandbits(40):010x}"'
        if campaigns and random.random() < CAMPAIGN:
            more += f',"campaign":"{random.choice(campaigns)}"'
    queue.waiting[contact] = now_ms
    floor.say(
        now_ms, contact, "call.queued.v1",
        f',"queue":"{queue.name}","segment_id":"{contact.id}.{contact.segment}"'
        f',"channel":"{contact.channel}","position":{len(queue.waiting)}{more}',
    )  # fmt: skip
    patience = random.expovariate(1 / queue.plan.patience_seconds)
    patience_ms = min(500 + int(patience * 1000), queue.plan.max_wait_seconds * 1000)
    floor.later(now_ms + patience_ms, Todo.GIVE_UP, contact, contact.segment)
    agent = longest_free(queue)
    if agent is None:
        queue.line.append((contact, contact.segment))
    else:
        offer(floor, now_ms, agent, contact, queue)


def give_up(floor: Floor, now_ms: int, contact: Contact, segment: object) -> None:
    """The patience of a contact is over; it leaves the queue unless it was answered."""
    if contact.segment != segment or contact.phase not in {WAITING, RINGING}:
        return
    queue = contact.queue
    wait_ms = now_ms - contact.queued_ms
    reason = "abandoned"
    if wait_ms >= queue.plan.max_wait_seconds * 1000:
        reason = "timeout"
    else:
        chance = floor.random.random()
        for other, below in OTHER_EXITS:
            if chance < below:
                reason = other
                break
    leg = contact.leg
    if contact.phase == RINGING and leg is not None:
        leg.canceled = True
        _offer_failed(floor, now_ms, leg, "canceled")
        _rest(floor, now_ms, leg.agent, "available", now_ms + PAUSE_MS)
    contact.phase = GONE
    contact.leg = None
    del queue.waiting[contact]
    floor.say(
        now_ms, contact, "call.dequeued.v1",
        f',"queue":"{queue.name}","reason":"{reason}","wait_ms":{wait_ms}'
        f',"segment_id":"{contact.id}.{contact.segment}"',
    )  # fmt: skip


def offer(floor: Floor, now_ms: int, agent: Agent, contact: Contact, queue: Queue | None) -> None:
    """Ring a contact at an agent; `queue` is None for a direct transfer."""
    random = floor.random
    leg = Leg(contact, agent, queue, now_ms)
    contact.phase = RINGING
    contact.leg = leg
    agent.contact = contact
    place = f',"queue":"{queue.name}"' if queue else ""
    floor.say(
        now_ms, contact, "call.offered.v1",
        f',"agent_id":"{agent.person.id}"{place},"segment_id":"{leg.segment_id}"',
    )  # fmt: skip
    floor.set_state(now_ms, agent, "ringing")
    if queue is not None and random.random() < NO_ANSWER:
        floor.later(now_ms + random.randrange(*NO_ANSWER_MS), Todo.MISS, leg)
    else:
        ring_ms = 800 + int(random.expovariate(1 / 2600))
        floor.later(now_ms + min(ring_ms, 11_000), Todo.ANSWER, leg)


def miss(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """An agent did not pick up: the contact is offered again, the agent is set aside."""
    if leg.canceled:
        return
    contact, agent, queue = leg.contact, leg.agent, leg.contact.queue
    reason = "no_answer" if floor.random.random() < NOT_REJECTED else "rejected"
    _offer_failed(floor, now_ms, leg, reason)
    _rest(floor, now_ms, agent, "other", now_ms + floor.random.randrange(*AWAY_AFTER_NO_ANSWER_MS))
    contact.phase = WAITING
    contact.leg = None
    queue.line.appendleft((contact, contact.segment))
    other = longest_free(queue)
    if other is not None:
        # Not at the same moment: an offer that failed and the next one would have no order.
        floor.later(now_ms + 200, Todo.FREE, other)


def free(floor: Floor, now_ms: int, agent: Agent, _detail: object = None) -> None:
    """An agent is ready: goes away if that is due, takes the longest waiting contact, or waits."""
    agent.contact = None
    if agent.leaving or now_ms >= agent.break_due_ms:
        if agent.state != "available":
            floor.set_state(now_ms, agent, "available")
        floor.later(now_ms + STEP_AWAY_MS, Todo.STEP_AWAY, agent)
        return
    contact = _longest_waiting(agent)
    if contact is not None:
        offer(floor, now_ms, agent, contact, contact.queue)
        return
    if agent.state != "available":
        floor.set_state(now_ms, agent, "available")
    agent.free = True
    for queue in agent.queues:
        queue.idle.append((agent, agent.idle))
        queue.free_agents += 1


def come_back(floor: Floor, now_ms: int, agent: Agent, _detail: object) -> None:
    """An agent is back from a break or from being set aside, and ready in a moment."""
    if agent.state != "available":
        floor.set_state(now_ms, agent, "available")
    floor.later(now_ms + PAUSE_MS, Todo.FREE, agent)


def take_if_free(agent: Agent) -> bool:
    """Take this agent out of the free ones; False if it was not free."""
    if not agent.free:
        return False
    _take(agent)
    return True


def _take(agent: Agent) -> None:
    agent.free = False
    agent.idle += 1
    for queue in agent.queues:
        queue.free_agents -= 1


def longest_free(queue: Queue) -> Agent | None:
    """Take the agent of a queue who has been free longest; None if all are busy."""
    idle = queue.idle
    while idle:
        agent, number = idle.popleft()
        if agent.idle == number:
            _take(agent)
            return agent
    return None


def _longest_waiting(agent: Agent) -> Contact | None:
    """Take the contact that has waited longest in any of the agent's queues."""
    best: Queue | None = None
    for queue in agent.queues:
        line = queue.line
        while line and (line[0][0].phase != WAITING or line[0][0].segment != line[0][1]):
            line.popleft()
        if line and (best is None or line[0][0].queued_ms < best.line[0][0].queued_ms):
            best = queue
    return best.line.popleft()[0] if best else None


def _offer_failed(floor: Floor, now_ms: int, leg: Leg, reason: str) -> None:
    floor.say(
        now_ms, leg.contact, "call.offer_failed.v1",
        f',"agent_id":"{leg.agent.person.id}","queue":"{leg.contact.queue.name}"'
        f',"segment_id":"{leg.segment_id}","ring_ms":{now_ms - leg.offered_ms}'
        f',"reason":"{reason}"',
    )  # fmt: skip


def _rest(floor: Floor, now_ms: int, agent: Agent, state: str, until_ms: int) -> None:
    agent.contact = None
    floor.set_state(now_ms, agent, state)
    floor.later(until_ms, Todo.COME_BACK, agent)

"""A contact at an agent: answered, held, passed on or ended, wrapped up, and what comes of it."""

from typing import Final

from cc_stream.simulate.queueing import free, longest_free, offer
from cc_stream.simulate.state import GONE, TALKING, Floor, Leg, Todo

TALK_SPREAD: Final = 0.55
WRAP_SPREAD: Final = 0.6
HELD: Final = 0.13
HOLD_MS: Final = (15_000, 90_000)
STEPPED: Final = 0.06
TO_QUEUE: Final = 0.045
TO_AGENT: Final = 0.015
MOST_SEGMENTS: Final = 3
CUSTOMER_ENDS: Final = 0.65
NO_WRAP_UP: Final = 0.05
CLASSIFIED: Final = 0.5
LATE_OUTCOME: Final = 0.08
LATE_OUTCOME_MS: Final = (2 * 60_000, 20 * 60_000)
HALVED: Final = 0.5
RESTATED_MS: Final = (60_000, 15 * 60_000)
SURVEYED: Final = 0.07
SURVEY_MS: Final = (60_000, 10 * 60_000)
SCORED: Final = 0.02
SCORED_MS: Final = (5 * 60_000, 60 * 60_000)
CRITICAL: Final = 0.03
TOPICS: Final = ("order", "refund", "outage", "change", "question", "complaint")
MARKS: Final = ("solved", "efficient", "compliant", "attitude", "satisfaction")


def answer(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """The agent picks up."""
    if leg.canceled:
        return
    random, contact, agent = floor.random, leg.contact, leg.agent
    contact.phase = TALKING
    leg.answered_ms = now_ms
    place = ""
    if leg.queue is not None:
        del leg.queue.waiting[contact]
        leg.wait_ms = now_ms - contact.queued_ms
        place = f',"queue":"{leg.queue.name}","wait_ms":{leg.wait_ms}'
    team = f',"team":"{agent.person.lent_to}"' if agent.person.lent_to else ""
    floor.say(
        now_ms, contact, "call.answered.v1",
        f',"agent_id":"{agent.person.id}","segment_id":"{leg.segment_id}"{place}'
        f',"ring_ms":{now_ms - leg.offered_ms}{team}',
    )  # fmt: skip
    floor.set_state(now_ms, agent, "on_contact")
    plan = contact.queue.plan
    talk_ms = 3_000 + _spread(floor, plan.talk_seconds * agent.person.pace, TALK_SPREAD)
    if random.random() < STEPPED:
        floor.later(now_ms + int(talk_ms * 0.2), Todo.STEP, leg)
    if random.random() < HELD:
        before_ms = 1 + int(talk_ms * random.uniform(0.2, 0.8))
        floor.later(now_ms + before_ms, Todo.HOLD, leg, talk_ms - before_ms)
    else:
        floor.later(now_ms + talk_ms, Todo.FINISH, leg)


def step(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """The information that is needed has been collected."""
    floor.say(now_ms, leg.contact, "call.step.v1", ',"step":"information_collected"')


def hold(floor: Floor, now_ms: int, leg: Leg, talk_left_ms: int) -> None:
    """The agent puts the contact on hold."""
    leg.hold_from_ms = now_ms
    floor.say(now_ms, leg.contact, "call.held.v1", _who(leg))
    floor.later(now_ms + floor.random.randrange(*HOLD_MS), Todo.RESUME, leg, talk_left_ms)


def resume(floor: Floor, now_ms: int, leg: Leg, talk_left_ms: int) -> None:
    """The agent takes the contact off hold."""
    leg.hold_ms += now_ms - leg.hold_from_ms
    floor.say(now_ms, leg.contact, "call.resumed.v1", _who(leg))
    floor.later(now_ms + talk_left_ms, Todo.FINISH, leg)


def finish(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """The agent's part is over: the contact hangs up or is passed on; wrap-up follows."""
    random = floor.random
    lost = floor.faults.random()
    missing = floor.settings.faults.missing_ends
    leg.lost_end = lost < missing / 2
    leg.lost_wrap_up = missing / 2 <= lost < missing
    wrap_up = random.random() >= NO_WRAP_UP
    if not _pass_on(floor, now_ms, leg, random.random()):
        _hang_up(floor, now_ms, leg, wrap_up=wrap_up)
    if not wrap_up:
        _results(floor, now_ms, leg)
        floor.set_state(now_ms, leg.agent, "available")
        leg.agent.contact = None
        floor.later(now_ms + 500, Todo.FREE, leg.agent)
        return
    floor.say(now_ms, leg.contact, "wrapup.started.v1", _who(leg))
    floor.set_state(now_ms, leg.agent, "wrapup")
    wrap_seconds = leg.contact.queue.plan.wrap_seconds * leg.agent.person.pace
    leg.wrap_ms = 1_000 + _spread(floor, wrap_seconds, WRAP_SPREAD)
    floor.later(now_ms + leg.wrap_ms, Todo.WRAP_UP_ENDS, leg)


def wrap_up_ends(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """After-call work is done; the agent is ready again."""
    contact = leg.contact
    if leg.lost_wrap_up:
        contact.events += 1
    else:
        floor.say(now_ms, contact, "wrapup.ended.v1", f'{_who(leg)},"wrap_ms":{leg.wrap_ms}')
    _results(floor, now_ms, leg)
    free(floor, now_ms, leg.agent)


def outcome(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """A sale or no sale is recorded; some are corrected later."""
    random = floor.random
    sold = random.random() < leg.agent.person.sells * leg.contact.queue.plan.conversion
    value = int(leg.contact.queue.plan.value_minor * random.lognormvariate(0, 0.35))
    data = _sale(floor, leg, 0, sold, value)
    event_id = floor.say(now_ms, leg.contact, "outcome.recorded.v1", data)
    chance = floor.faults.random()
    if chance < floor.settings.faults.restated:
        # A sale is halved or canceled; where nothing was sold, a sale comes in after all.
        halved = floor.faults.random() < HALVED
        value = value if not sold else value // 2 if halved else 0
        detail = f"{event_id}|{_sale(floor, leg, 1, value > 0, value)}"
        floor.later(now_ms + floor.faults.randrange(*RESTATED_MS), Todo.RESTATE, leg, detail)


def restate(floor: Floor, now_ms: int, leg: Leg, detail: str) -> None:
    """The same record once more, with a higher revision and other content."""
    event_id, data = detail.split("|", 1)
    contact_id = leg.contact.id
    floor.out.send(
        now_ms, "calls", contact_id, event_id, "outcome.recorded.v1",
        f'{{"contact_id":"{contact_id}"{data}}}', '"revision":1,',
    )  # fmt: skip


def survey(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """The customer answers a survey."""
    score = min(5, max(1, round(floor.random.gauss(4.1 - 2 * (leg.agent.person.pace - 1), 1.0))))
    floor.say(
        now_ms, leg.contact, "survey.submitted.v1",
        f',"score":{score},"scale_min":1,"scale_max":5,"kind":"csat"'
        f',"agent_id":"{leg.agent.person.id}"',
    )  # fmt: skip


def quality(floor: Floor, now_ms: int, leg: Leg, _detail: object) -> None:
    """A supervisor scores the contact."""
    random = floor.random
    marks = [min(5, max(1, round(random.gauss(4, 0.8)))) for _ in MARKS]
    text = ",".join(f'"{mark}":{value}' for mark, value in zip(MARKS, marks, strict=True))
    critical = "true" if random.random() < CRITICAL else "false"
    floor.say(
        now_ms, leg.contact, "quality.scored.v1",
        f',"agent_id":"{leg.agent.person.id}","score":{sum(marks) * 4},"max":100'
        f',"form":"standard","marks":{{{text}}},"critical_fail":{critical}',
    )  # fmt: skip


def _who(leg: Leg) -> str:
    return f',"agent_id":"{leg.agent.person.id}","segment_id":"{leg.segment_id}"'


def _spread(floor: Floor, mean_seconds: float, sigma: float) -> int:
    """A log-normal duration in milliseconds with this mean."""
    return int(mean_seconds * 1000 * floor.random.lognormvariate(-sigma * sigma / 2, sigma))


def _sale(floor: Floor, leg: Leg, revision: int, sold: bool, value: int) -> str:  # noqa: FBT001
    money = f',"value_minor":{value},"currency":"{floor.settings.currency}"' if sold else ""
    return (
        f',"outcome":"{"sale" if sold else "no_sale"}","revision":{revision}'
        f',"agent_id":"{leg.agent.person.id}","eligible":true'
        f',"converted":{"true" if sold else "false"}{money}'
    )


def _hang_up(floor: Floor, now_ms: int, leg: Leg, *, wrap_up: bool) -> None:
    contact = leg.contact
    contact.phase = GONE
    contact.leg = None
    by = "customer" if floor.random.random() < CUSTOMER_ENDS else "agent"
    if leg.lost_end:
        contact.events += 1
        return
    place = f',"queue":"{leg.queue.name}","wait_ms":{leg.wait_ms}' if leg.queue else ""
    floor.say(
        now_ms, contact, "call.ended.v1",
        f'{_who(leg)}{place},"ended_by":"{by}","talk_ms":{_talk_ms(leg, now_ms)}'
        f',"hold_ms":{leg.hold_ms},"wrapup_expected":{"true" if wrap_up else "false"}',
    )  # fmt: skip


def _talk_ms(leg: Leg, now_ms: int) -> int:
    return now_ms - leg.answered_ms - leg.hold_ms


def _pass_on(floor: Floor, now_ms: int, leg: Leg, chance: float) -> bool:
    """Pass the contact to another queue or agent; False if it simply ends."""
    contact, queues = leg.contact, floor.queues
    if contact.segment >= MOST_SEGMENTS:
        return False
    if chance < TO_QUEUE and len(queues) > 1:
        others = [queue for queue in queues if queue is not contact.queue]
        target = floor.random.choice(others)
        _transferred(floor, now_ms, leg, "queue", f',"to_queue":"{target.name}"')
        contact.phase = GONE
        floor.later(now_ms + 100 + int(floor.random.random() * 900), Todo.ENTER, contact, target)
        return True
    if TO_QUEUE <= chance < TO_QUEUE + TO_AGENT:
        agent = longest_free(contact.queue)
        if agent is None:
            return False
        kind = "attended" if leg.hold_ms else "blind"
        _transferred(floor, now_ms, leg, kind, f',"to_agent_id":"{agent.person.id}"')
        contact.segment += 1
        offer(floor, now_ms, agent, contact, None)
        return True
    return False


def _transferred(floor: Floor, now_ms: int, leg: Leg, kind: str, to: str) -> None:
    contact = leg.contact
    place = f',"queue":"{leg.queue.name}","wait_ms":{leg.wait_ms}' if leg.queue else ""
    floor.say(
        now_ms, contact, "call.transferred.v1",
        f'{_who(leg)}{place},"kind":"{kind}"{to},"talk_ms":{_talk_ms(leg, now_ms)}'
        f',"new_segment_id":"{contact.id}.{contact.segment + 1}"',
    )  # fmt: skip


def _results(floor: Floor, now_ms: int, leg: Leg) -> None:
    """What a handled segment leads to: its reason, outcome, survey and score."""
    random, contact = floor.random, leg.contact
    queue = contact.queue
    if random.random() < CLASSIFIED:
        reason = f"{queue.name}/{TOPICS[int(random.random() ** 2 * len(TOPICS))]}"
        floor.say(now_ms, contact, "contact.classified.v1", f',"reason":"{reason}"')
    if random.random() < queue.plan.eligible:
        late = random.random() < LATE_OUTCOME
        delay = random.randrange(*LATE_OUTCOME_MS) if late else 1
        floor.later(now_ms + delay, Todo.OUTCOME, leg)
    if random.random() < SURVEYED:
        floor.later(now_ms + random.randrange(*SURVEY_MS), Todo.SURVEY, leg)
    if random.random() < SCORED:
        floor.later(now_ms + random.randrange(*SCORED_MS), Todo.QUALITY, leg)

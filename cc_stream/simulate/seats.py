"""Who sits where and when: shifts, breaks, heartbeats, and what the exchange says of its queues."""

from typing import Final

from cc_stream.events import to_rfc3339
from cc_stream.simulate.people import SHIFTS, person_of
from cc_stream.simulate.queueing import PAUSE_MS, STEP_AWAY_MS, take_if_free
from cc_stream.simulate.state import Agent, Floor, Queue, Seat, Todo

MINUTE_MS: Final = 60_000
REVIEW_MS: Final = 10 * MINUTE_MS
FIRST_SHIFT_HOUR: Final = 6
STAGGER_HOURS: Final = 1.5
"""Shifts begin within this time, seat by seat, so that the floor is never empty."""
BREAK_EVERY_MS: Final = (110 * MINUTE_MS, 170 * MINUTE_MS)
FIRST_BREAK_MS: Final = (5 * MINUTE_MS, 150 * MINUTE_MS)
AWAY: Final = (
    # Cumulative share, state, reason, shortest and longest minutes.
    (0.65, "break", "rest", 12, 18),
    (0.80, "break", "lunch", 28, 33),
    (0.90, "training", "product", 30, 45),
    (1.00, "meeting", "team", 20, 30),
)
HEARTBEAT: Final = 0.3
STATE_SNAPSHOT: Final = 0.03
MOST_LISTED: Final = 5_000
"""A snapshot lists at most this many contacts, so that it stays below the size of a record."""


def review(floor: Floor, now_ms: int, seat: Seat, _detail: object) -> None:
    """Now and then: is the right person at this seat, and is a break due?"""
    floor.later(now_ms + REVIEW_MS, Todo.REVIEW, seat)
    here = seat.here
    if here is None:
        _log_in(floor, now_ms, seat)
        return
    here.leaving = seat.agents.get(_shift(floor, now_ms, seat)) is not here
    if (here.leaving or now_ms >= here.break_due_ms) and take_if_free(here):
        floor.later(now_ms + STEP_AWAY_MS, Todo.STEP_AWAY, here)
    chance = floor.random.random()
    if chance < STATE_SNAPSHOT:
        floor.report_state(now_ms, here, "agent.snapshot.v1")
    elif chance < STATE_SNAPSHOT + HEARTBEAT:
        floor.report_state(now_ms, here, "agent.heartbeat.v1")


def step_away(floor: Floor, now_ms: int, agent: Agent, _detail: object) -> None:
    """An agent who is not free any more goes home, or on a break."""
    random = floor.random
    if agent.leaving:
        floor.set_state(now_ms, agent, "offline", ',"reason":"shift_end"')
        agent.seat.here = None
        _log_in(floor, now_ms, agent.seat)
        return
    chance = random.random()
    state, reason, least, most = next(row[1:] for row in AWAY if chance < row[0])
    back_ms = now_ms + int(random.uniform(least, most) * MINUTE_MS)
    agent.break_due_ms = back_ms + random.randrange(*BREAK_EVERY_MS)
    floor.set_state(now_ms, agent, state, f',"reason":"{reason}"')
    floor.later(back_ms, Todo.COME_BACK, agent)


def snapshot(floor: Floor, now_ms: int, queue: Queue, number: int) -> None:
    """Once a minute the exchange says who is waiting in a queue."""
    floor.later(now_ms + MINUTE_MS, Todo.SNAPSHOT, queue, number + 1)
    waiting = ",".join(
        f'["{contact.id}","{to_rfc3339(since_ms)}"]'
        for contact, since_ms in list(queue.waiting.items())[:MOST_LISTED]
    )
    floor.out.send(
        now_ms, "calls", queue.name, f"{floor.run}-{queue.name}-{number}", "queue.snapshot.v1",
        f'{{"queue":"{queue.name}","waiting":[{waiting}]'
        f',"agents_available":{queue.free_agents}}}',
    )  # fmt: skip


def _shift(floor: Floor, now_ms: int, seat: Seat) -> int:
    """The shift (0 early, 1 late, 2 night) that works at a seat; -1 while it stays empty."""
    if seat.number >= floor.demand.staffed(now_ms):
        return -1
    begins = FIRST_SHIFT_HOUR + STAGGER_HOURS * (seat.number * 0.618_033_988_75 % 1.0)
    hours = (floor.demand.local_hours(now_ms) - begins) % 24
    return int(hours / (24 / SHIFTS)) % SHIFTS


def _log_in(floor: Floor, now_ms: int, seat: Seat) -> None:
    shift = _shift(floor, now_ms, seat)
    if shift < 0:
        return
    agent = seat.agents.get(shift)
    if agent is None:
        person = person_of(floor.settings, seat.number, shift)
        agent = Agent(person, seat, tuple(floor.queues[index] for index in person.queues))
        seat.agents[shift] = agent
    seat.here = agent
    agent.leaving = False
    agent.break_due_ms = now_ms + floor.random.randrange(*FIRST_BREAK_MS)
    queues = ",".join(f'"{queue.name}"' for queue in agent.queues)
    # Not at the same moment as the end of an earlier shift of the same person.
    floor.set_state(now_ms, agent, "available", f',"queues":[{queues}]')
    floor.later(now_ms + PAUSE_MS, Todo.FREE, agent)

"""The simulated floor: a seeded discrete-event simulation that yields records as they arrive."""

from collections.abc import Callable, Iterator
from heapq import heappop
from typing import Any, Final

from cc_stream.errors import ConfigError
from cc_stream.simulate import legs, queueing, seats
from cc_stream.simulate.outbox import NEVER_MS, Arrival
from cc_stream.simulate.plan import SimulationSettings
from cc_stream.simulate.state import Floor, Seat, Todo

MINUTE_MS: Final = 60_000
LOG_IN_WITHIN_MS: Final = 60_000
RESTARTED: Final = '{"reason":"simulation started"}'

Handler = Callable[[Floor, int, Any, Any], None]
HANDLERS: Final[dict[Todo, Handler]] = {
    Todo.ARRIVE: queueing.arrive,
    Todo.ENTER: queueing.enter,
    Todo.GIVE_UP: queueing.give_up,
    Todo.ANSWER: legs.answer,
    Todo.MISS: queueing.miss,
    Todo.HOLD: legs.hold,
    Todo.RESUME: legs.resume,
    Todo.STEP: legs.step,
    Todo.FINISH: legs.finish,
    Todo.WRAP_UP_ENDS: legs.wrap_up_ends,
    Todo.OUTCOME: legs.outcome,
    Todo.RESTATE: legs.restate,
    Todo.SURVEY: legs.survey,
    Todo.QUALITY: legs.quality,
    Todo.FREE: queueing.free,
    Todo.STEP_AWAY: seats.step_away,
    Todo.REVIEW: seats.review,
    Todo.SNAPSHOT: seats.snapshot,
    Todo.COME_BACK: queueing.come_back,
}


def arrivals(
    settings: SimulationSettings, from_ms: int, to_ms: int | None = None
) -> Iterator[Arrival]:
    """Records of a floor that opens at `from_ms`, in the order of their arrival.

    Nothing happens at or after `to_ms` (contacts stay open, as in life), but what happened before
    and was delayed still arrives. Without `to_ms` it never ends, and begins with the same
    records. The same settings and `from_ms` give the same bytes. Reference data is apart:
    `reference`. Holds the open contacts and what is due, so its memory does not grow with time.

    Args:
        settings: the floor.
        from_ms: opening, milliseconds UTC; the agents log in during the first minute.
        to_ms: end, milliseconds UTC, or None.

    Raises:
        ConfigError: `from_ms` is not after 1970, or `to_ms` not after `from_ms`.
    """
    if from_ms <= 0:
        raise ConfigError(f"simulation: the start must be after 1970, not {from_ms} ms")
    if to_ms is not None and to_ms <= from_ms:
        raise ConfigError("simulation: the end must be after the start")
    return _run(_opened(settings, from_ms), NEVER_MS if to_ms is None else to_ms)


def _opened(settings: SimulationSettings, from_ms: int) -> Floor:
    floor = Floor(settings, from_ms)
    for number in range(settings.seats):
        at_ms = from_ms + 1 + int(floor.random.random() * LOG_IN_WITHIN_MS)
        floor.later(at_ms, Todo.REVIEW, Seat(number))
    for queue in floor.queues:
        first_ms = floor.demand.next_arrival(queue.index, from_ms, floor.random)
        floor.later(first_ms, Todo.ARRIVE, queue)
        floor.later((from_ms // MINUTE_MS + 1) * MINUTE_MS, Todo.SNAPSHOT, queue, 1)
    source = settings.source
    for topic in ("calls", "agents"):
        event_id = f"{floor.run}-{topic}-start"
        floor.out.send(from_ms, topic, source, event_id, "source.restarted.v1", RESTARTED)
    return floor


def _run(floor: Floor, end_ms: int) -> Iterator[Arrival]:
    agenda, out = floor.agenda, floor.out
    yield from out.take_ready()
    while agenda[0][0] < end_ms:
        now_ms, _, todo, subject, detail = heappop(agenda)
        if out.next_due_ms() <= now_ms:
            yield from out.due(now_ms)
        HANDLERS[todo](floor, now_ms, subject, detail)
        yield from out.take_ready()
    yield from out.due(NEVER_MS)

"""The state of the floor: its clock of things to come, queues, agents and contacts."""

from collections import deque
from enum import IntEnum
from heapq import heappush
from typing import Final

from cc_stream.events import to_rfc3339
from cc_stream.simulate.demand import Demand
from cc_stream.simulate.outbox import Outbox
from cc_stream.simulate.people import Person
from cc_stream.simulate.plan import QueuePlan, SimulationSettings, run_name, seeded

WAITING: Final = 0
RINGING: Final = 1
TALKING: Final = 2
GONE: Final = 3


class Todo(IntEnum):
    """What can be due; `floor.HANDLERS` says which function does it."""

    ARRIVE = 0
    ENTER = 1
    GIVE_UP = 2
    ANSWER = 3
    MISS = 4
    HOLD = 5
    RESUME = 6
    STEP = 7
    FINISH = 8
    WRAP_UP_ENDS = 9
    OUTCOME = 10
    RESTATE = 11
    SURVEY = 12
    QUALITY = 13
    FREE = 14
    STEP_AWAY = 15
    REVIEW = 16
    SNAPSHOT = 17
    COME_BACK = 18


class Queue:
    """One queue with its contacts and the agents who are free for it.

    `line` holds contacts that wait for an offer, `idle` agents by how long they have been free;
    both may hold stale entries, which are dropped when they come to the front.
    """

    __slots__ = ("free_agents", "idle", "index", "line", "name", "plan", "waiting")

    def __init__(self, index: int, plan: QueuePlan) -> None:
        self.index = index
        self.name = plan.name
        self.plan = plan
        self.waiting: dict[Contact, int] = {}
        self.line: deque[tuple[Contact, int]] = deque()
        self.idle: deque[tuple[Agent, int]] = deque()
        self.free_agents = 0


class Contact:
    """One contact. `segment` counts its queue visits and direct legs, `events` its events."""

    __slots__ = ("channel", "events", "id", "leg", "phase", "queue", "queued_ms", "segment")

    def __init__(self, contact_id: str, queue: Queue, channel: str) -> None:
        self.id = contact_id
        self.queue = queue
        self.channel = channel
        self.events = 0
        self.segment = 0
        self.phase = WAITING
        self.queued_ms = 0
        self.leg: Leg | None = None


class Agent:
    """One person at a seat. `idle` is a number that changes whenever the agent is taken."""

    __slots__ = ("break_due_ms", "contact", "free", "idle", "leaving", "person", "queues",
                 "seat", "since_ms", "state", "states")  # fmt: skip

    def __init__(self, person: Person, seat: "Seat", queues: tuple[Queue, ...]) -> None:
        self.person = person
        self.seat = seat
        self.queues = queues
        self.state = "offline"
        self.since_ms = 0
        self.states = 0
        self.contact: Contact | None = None
        self.free = False
        self.idle = 0
        self.leaving = False
        self.break_due_ms = 0


class Leg:
    """One contact at one agent, from the first ring to the end of wrap-up.

    `queue` is None for a leg that was passed on directly. Durations are milliseconds.
    """

    __slots__ = ("agent", "answered_ms", "canceled", "contact", "hold_from_ms", "hold_ms",
                 "lost_end", "lost_wrap_up", "offered_ms", "queue", "segment_id", "wait_ms",
                 "wrap_ms")  # fmt: skip

    def __init__(self, contact: Contact, agent: Agent, queue: Queue | None, now_ms: int) -> None:
        self.contact = contact
        self.agent = agent
        self.queue = queue
        self.segment_id = f"{contact.id}.{contact.segment}"
        self.offered_ms = now_ms
        self.answered_ms = 0
        self.wait_ms = 0
        self.hold_ms = 0
        self.hold_from_ms = 0
        self.wrap_ms = 0
        self.canceled = False
        self.lost_end = False
        self.lost_wrap_up = False


class Seat:
    """A workplace and whoever sits there now."""

    __slots__ = ("agents", "here", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.agents: dict[int, Agent] = {}
        self.here: Agent | None = None


Subject = Contact | Agent | Leg | Seat | Queue
Agenda = list[tuple[int, int, Todo, Subject, Queue | int | str | None]]


class Floor:
    """Everything that the steps of the simulation read and change."""

    __slots__ = (
        "_contacts",
        "_steps",
        "agenda",
        "demand",
        "faults",
        "out",
        "queues",
        "random",
        "run",
        "seats",
        "settings",
    )  # fmt: skip

    def __init__(self, settings: SimulationSettings, from_ms: int) -> None:
        self.settings = settings
        self.faults = seeded(settings, "missing")
        self.random = seeded(settings, f"floor/{from_ms}")
        self.run = run_name(settings, from_ms)
        self.out = Outbox(settings, self.run)
        self.demand = Demand(settings)
        self.queues = [Queue(index, plan) for index, plan in enumerate(settings.queues)]
        self.seats: list[Seat] = []
        self.agenda: Agenda = []
        self._steps = 0
        self._contacts = 0

    def later(
        self, at_ms: int, todo: Todo, subject: Subject, detail: Queue | int | str | None = None
    ) -> None:
        """Put something on the agenda; what is due at the same time is done in this order."""
        self._steps += 1
        heappush(self.agenda, (at_ms, self._steps, todo, subject, detail))

    def new_contact(self, queue: Queue) -> Contact:
        """A contact with an id that no other run of any floor has."""
        self._contacts += 1
        channel = "chat" if self.random.random() < queue.plan.chat else "voice"
        return Contact(f"{self.run}-{self._contacts:06x}", queue, channel)

    def say(self, now_ms: int, contact: Contact, kind: str, data: str) -> str:
        """Emit an event of a contact, and return its id. `data` is what follows contact_id."""
        contact.events += 1
        event_id = f"{contact.id}-{contact.events}"
        self.out.send(
            now_ms, "calls", contact.id, event_id, kind, f'{{"contact_id":"{contact.id}"{data}}}'
        )
        return event_id

    def set_state(self, now_ms: int, agent: Agent, state: str, more: str = "") -> None:
        """Emit a change of an agent's state. `more` is JSON that follows the state."""
        agent.state = state
        agent.since_ms = now_ms
        agent.states += 1
        person = agent.person
        team = f',"team":"{person.lent_to}"' if person.lent_to else ""
        self.out.send(
            now_ms, "agents", person.id, f"{self.run}-{person.id}-{agent.states}",
            "agent.state_changed.v1",
            f'{{"agent_id":"{person.id}","state":"{state}"{team}{more}}}',
            f'"sequence":{agent.states},',
        )  # fmt: skip

    def report_state(self, now_ms: int, agent: Agent, kind: str) -> None:
        """Emit a heartbeat or snapshot: what is so already, and since when."""
        agent.states += 1
        person = agent.person
        team = f',"team":"{person.lent_to}"' if person.lent_to else ""
        contacts = f',"contacts":["{agent.contact.id}"]' if agent.contact else ""
        self.out.send(
            now_ms, "agents", person.id, f"{self.run}-{person.id}-{agent.states}", kind,
            f'{{"agent_id":"{person.id}","state":"{agent.state}",'
            f'"since":"{to_rfc3339(agent.since_ms)}"{contacts}{team}}}',
            f'"sequence":{agent.states},',
        )  # fmt: skip

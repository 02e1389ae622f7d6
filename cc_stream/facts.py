"""Facts: the contributions of a log, before metrics turn them into numbers.

A log (of a contact, of an agent) is read as a set of facts: *entered the queue at 12:00:10*,
*answered after 17 s*, *waiting since 12:00:14*. A fact says what happened, when it counts, and on
which rows; the metrics say which numbers follow. Facts are compared, added and taken back; they
hold no running state. Moments and durations are integer milliseconds.

Every fact that counts at a moment has `at` (its own) and `start` (the queue entry of its segment),
so that both attributions of METRICS section 5 can be read from the same facts.
"""

from typing import Final, Literal

from msgspec import Struct

Attribution = Literal["event", "start"]


class Fact(Struct, frozen=True, gc=False):
    """The root of all facts."""


class Entered(Fact, frozen=True, gc=False):
    """A segment entered a queue; `first` on the contact's first queue."""

    at: int
    start: int
    queue: str
    campaign: str | None
    first: bool
    transferred: bool


class Rejected(Fact, frozen=True, gc=False):
    """A contact was refused by a queue."""

    at: int
    start: int
    queue: str
    campaign: str | None
    reason: str


class Answered(Fact, frozen=True, gc=False):
    """A segment was connected; `wait_ms` is None where neither source nor times tell it."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str
    wait_ms: int | None
    transferred: bool


class Left(Fact, frozen=True, gc=False):
    """A segment left its queue without an agent."""

    at: int
    start: int
    queue: str
    campaign: str | None
    reason: str
    wait_ms: int | None


class Handled(Fact, frozen=True, gc=False):
    """A segment was completed: everything of it that is measured counts at this moment."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str
    talk_ms: int
    hold_ms: int
    wrap_ms: int
    hold_known: bool
    eligible: bool
    converted: bool
    value_minor: int


class Transferred(Fact, frozen=True, gc=False):
    """An agent passed the contact on."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str


class OfferFailed(Fact, frozen=True, gc=False):
    """An agent was rung in vain."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str


class Surveyed(Fact, frozen=True, gc=False):
    """A customer's answer, credited to a leg."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str
    score: float
    scale_min: float
    scale_max: float
    kind: str | None


class Scored(Fact, frozen=True, gc=False):
    """A quality score, credited to a leg."""

    at: int
    start: int
    queue: str | None
    campaign: str | None
    agent: str
    team: str
    score: float
    max: float | None
    critical_fail: bool


class Open(Fact, frozen=True, gc=False):
    """A state of a contact that lasts: waiting, talking, holding, wrapping since a moment.

    `until` in place of `since` for `wrapping_until`: planned wrap-up that ends by itself.
    """

    state: str
    since: int
    queue: str | None
    campaign: str | None
    agent: str | None
    team: str | None


class Lost(Fact, frozen=True, gc=False):
    """A segment entered a queue, and how it left the queue was never told."""

    queue: str
    campaign: str | None


class StateTime(Fact, frozen=True, gc=False):
    """An agent was in a state during `[start, end)`."""

    state: str
    start: int
    end: int
    agent: str
    team: str


class OpenState(Fact, frozen=True, gc=False):
    """An agent has been in a state since a moment; `queues` are those that the agent serves."""

    state: str
    since: int
    agent: str
    team: str
    queues: tuple[str, ...]


class Reported(Fact, frozen=True, gc=False):
    """How many the source itself says are waiting in a queue."""

    queue: str
    waiting: int
    at: int


MOMENT_FACTS: Final[tuple[type[Fact], ...]] = (
    Entered,
    Rejected,
    Answered,
    Left,
    Handled,
    Transferred,
    OfferFailed,
    Surveyed,
    Scored,
)
LIVE_FACTS: Final[tuple[type[Fact], ...]] = (Open, Lost, OpenState, Reported)

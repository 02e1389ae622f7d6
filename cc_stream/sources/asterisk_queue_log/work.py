"""The state of the fold, a batch at work on it, and how an event gets its id, time and sequence."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from cc_stream.events import EPOCH, Event
from cc_stream.sources.asterisk_queue_log.line import Line
from cc_stream.sources.source import Options

SEQUENCE_STEP: Final = 8
"""Room for the events of one line between two lines of one second."""


class Place(Struct, frozen=True, array_like=True):
    """A call waits in a queue. `event` is the id of the call.queued event that said so."""

    queue: str
    since_ms: int
    event: str
    sequence: int


class Call(Struct, frozen=True, array_like=True):
    """What is known of an open call. `legs`: agents who talk to it; `passed_on`: transferred."""

    touched_ms: int = 0
    places: tuple[Place, ...] = ()
    legs: int = 0
    passed_on: bool = False
    left_queue: str = ""
    left_ms: int = 0


class Leg(Struct, frozen=True, array_like=True):
    """An agent talks to a contact. `doubtful`: since before the exchange was restarted."""

    contact: str
    queue: str
    since_ms: int
    doubtful: bool = False


class Agent(Struct, frozen=True, array_like=True):
    """What is known of an agent: presence, open legs, wrap-up under way, and what was told last."""

    seen_ms: int = 0
    queues: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    is_paused: bool = False
    is_offline: bool = False
    reason: str | None = None
    legs: tuple[Leg, ...] = ()
    wrap_until_ms: int = 0
    wrap_id: str = ""
    last_contact: str = ""
    told: str = ""
    told_queues: tuple[str, ...] = ()
    told_ms: int = 0


class LegEnd(Struct, frozen=True):
    """What a line about the end of a leg says."""

    contact: str
    agent: str
    queue: str
    wait_ms: int | None
    talk_ms: int | None


class Second(Struct, array_like=True):
    """The lines of one second so far: how many, and how many of each content (by hash)."""

    lines: int
    seen: dict[str, int]


class State(Struct, frozen=True, array_like=True):
    """All that the fold remembers. Not to be changed: a batch works on copies."""

    calls: Mapping[str, Call] = {}
    aliases: Mapping[str, tuple[str, int]] = {}
    """callid of a second leg → contact it belongs to, and since when (ms)."""
    agents: Mapping[str, Agent] = {}
    wraps: Mapping[str, int] = {}
    """Agents in wrap-up, and until when (ms)."""
    seconds: Mapping[int, Second] = {}
    swept_ms: int = 0


class Stamp(Struct, frozen=True):
    """Where the events of a line get their id, time and sequence from."""

    id: str
    ms: int
    sequence: int


class Work:
    """A batch at work: copies of the state's maps, which it may change, and what came out."""

    __slots__ = (
        "agents", "aliases", "calls", "events", "ignored", "options", "seconds", "swept_ms", "wraps"
    )  # fmt: skip

    def __init__(self, state: State, options: Options) -> None:
        self.options = options
        self.calls = dict(state.calls)
        self.aliases = dict(state.aliases)
        self.agents = dict(state.agents)
        self.wraps = dict(state.wraps)
        self.seconds = {
            second: Second(so_far.lines, dict(so_far.seen))
            for second, so_far in state.seconds.items()
        }
        self.swept_ms = state.swept_ms
        self.events: list[Event] = []
        self.ignored: dict[str, int] = {}

    def state(self) -> State:
        """The state after the batch."""
        maps = self.calls, self.aliases, self.agents, self.wraps, self.seconds
        return State(*maps, self.swept_ms)

    def ignore(self, what: str) -> None:
        """Count a line that is known to carry no event."""
        self.ignored[what] = self.ignored.get(what, 0) + 1

    def emit(
        self,
        kind: Callable[..., Event],
        data: object,
        *,
        id: str,  # noqa: A002 - the attribute's name
        ms: int,
        sequence: int,
        revision: int = 0,
    ) -> None:
        """Add an event."""
        event = kind(
            id=id,
            source=self.options.source,
            time=moment(ms),
            tenant=self.options.tenant,
            revision=revision,
            sequence=sequence,
            subject=_subject(data),
            data=data,
        )
        self.events.append(event)


Handler = Callable[[Work, Line, Stamp], None]


def moment(ms: int) -> datetime:
    """The event time of milliseconds since 1970 UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def _subject(data: Any) -> str | None:
    return getattr(data, "contact_id", None) or getattr(data, "agent_id", None)

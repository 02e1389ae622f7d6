"""Canonical events: what every source is mapped to before anything is counted.

An event is a CloudEvents 1.0 envelope around typed data. Three forms on the wire are accepted (see
`contracts`): structured JSON, Kafka binary mode, and bare JSON with the same names. Times are
integer milliseconds UTC inside, RFC 3339 with an offset outside. Durations are whole milliseconds.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, final, get_args

from msgspec import Meta, Struct

_SECONDS: Final = tuple(f"{second:02}" for second in range(60))
_FRACTIONS: Final = tuple(f".{ms:03d}Z" for ms in range(1_000))
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NULL_TIME_MS: Final = 1
"""`1970-01-01T00:00:00.001Z`: how some exchanges write "no time" (SOURCES section 1)."""

DEFAULT_TENANT: Final = "default"
UNASSIGNED: Final = "unassigned"
"""The team of an agent of whom neither the event nor the roster names one."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=1024)]
Millis = Annotated[int, Meta(ge=0, le=1 << 40)]
Count = Annotated[int, Meta(ge=0, le=1 << 31)]
Whole = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
"""Whole numbers that every JSON reader keeps exactly; a larger one does not fit into the state."""
Instant = Annotated[datetime, Meta(tz=True)]

Presence = Literal["offline", "available", "break", "training", "meeting", "other", "error"]
Activity = Literal["ringing", "on_contact", "wrapup"]
AgentState = Literal[
    "offline",
    "available",
    "break",
    "training",
    "meeting",
    "other",
    "error",
    "ringing",
    "on_contact",
    "wrapup",
]
RejectReason = Literal["full", "closed", "join_empty", "divert"]
ExitReason = Literal["abandoned", "timeout", "key", "empty", "withdrawn", "callback", "overflow"]
OfferFailReason = Literal["no_answer", "rejected", "canceled", "error", "dumped"]
TransferKind = Literal["blind", "attended", "queue"]

AGENT_STATES: Final[tuple[str, ...]] = get_args(AgentState)
"""Order matters: a state's index is its bucket in stored vectors. Append only."""
ACTIVITIES: Final[frozenset[str]] = frozenset(get_args(Activity))
REJECT_REASONS: Final[tuple[str, ...]] = get_args(RejectReason)
EXIT_REASONS: Final[tuple[str, ...]] = get_args(ExitReason)


@final
class Refused(Struct, frozen=True):
    """Why a record is not counted: the rule that it broke (`dead_letters.RULES`).

    `path` is a JSON path in structured form (`$.data.contact_id`), empty for the whole record.
    `detail` never repeats the content of the event, so it may be logged.
    """

    rule: str
    path: str = ""
    detail: str = ""


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware datetime; below a millisecond is cut off."""
    since = moment - EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def to_rfc3339(ms: int) -> str:
    """`2026-11-22T02:54:00.120Z`; milliseconds are always written."""
    return _minute(ms // 60_000) + _SECONDS[ms // 1_000 % 60] + _FRACTIONS[ms % 1_000]


@lru_cache(1_024)
def _minute(minutes: int) -> str:
    """Moments lie close together, so most minutes are written more than once."""
    return (EPOCH + timedelta(minutes=minutes)).isoformat()[:17]


class Data(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """What happened. Unknown fields are found, counted and dropped by `contracts`."""


class Queued(Data, frozen=True):
    """A contact entered a queue."""

    contact_id: Name
    queue: Name
    segment_id: Name | None = None
    channel: Name | None = None
    direction: Literal["inbound", "outbound", "internal"] | None = None
    caller_hash: Name | None = None
    position: Count | None = None
    priority: Whole | None = None
    skills: Annotated[tuple[Name, ...], Meta(max_length=32)] | None = None
    campaign: Name | None = None
    reason: Text | None = None


class Rejected(Data, frozen=True):
    """A contact tried to enter a queue and was refused. Not offered."""

    contact_id: Name
    queue: Name
    reason: RejectReason


class Offered(Data, frozen=True):
    """A contact rings at an agent."""

    contact_id: Name
    agent_id: Name
    queue: Name | None = None
    segment_id: Name | None = None
    ring_ms: Millis | None = None


class OfferFailed(Data, frozen=True):
    """An agent was rung and did not take the contact."""

    contact_id: Name
    agent_id: Name
    queue: Name | None = None
    segment_id: Name | None = None
    ring_ms: Millis | None = None
    reason: OfferFailReason | None = None


class Answered(Data, frozen=True):
    """A contact was connected to an agent. `wait_ms` is the source's own queue wait."""

    contact_id: Name
    agent_id: Name
    queue: Name | None = None
    segment_id: Name | None = None
    team: Name | None = None
    wait_ms: Millis | None = None
    ring_ms: Millis | None = None


class Held(Data, frozen=True):
    """An agent put a contact on hold."""

    contact_id: Name
    agent_id: Name
    segment_id: Name | None = None


class Resumed(Data, frozen=True):
    """An agent took a contact off hold."""

    contact_id: Name
    agent_id: Name
    segment_id: Name | None = None


class Transferred(Data, frozen=True):
    """An agent's leg ended because the contact was passed on. `talk_ms` is without hold."""

    contact_id: Name
    agent_id: Name
    kind: TransferKind
    to_queue: Name | None = None
    to_agent_id: Name | None = None
    talk_ms: Millis | None = None
    new_segment_id: Name | None = None
    segment_id: Name | None = None
    queue: Name | None = None
    wait_ms: Millis | None = None


class Dequeued(Data, frozen=True):
    """A contact left a queue without an agent."""

    contact_id: Name
    queue: Name
    reason: ExitReason
    wait_ms: Millis | None = None
    position: Count | None = None
    segment_id: Name | None = None


class Ended(Data, frozen=True):
    """The contact hung up, or an agent's leg ended. `talk_ms` is without hold."""

    contact_id: Name
    agent_id: Name | None = None
    queue: Name | None = None
    segment_id: Name | None = None
    ended_by: Literal["agent", "customer", "system"] | None = None
    wait_ms: Millis | None = None
    talk_ms: Millis | None = None
    hold_ms: Millis | None = None
    wrapup_expected: bool | None = None


class Step(Data, frozen=True):
    """A named step of the contact was reached."""

    contact_id: Name
    step: Name
    department: Name | None = None


class WrapupStarted(Data, frozen=True):
    """After-call work began; with `planned_ms` it ends by itself after that time."""

    contact_id: Name
    agent_id: Name
    planned_ms: Millis | None = None
    segment_id: Name | None = None


class WrapupEnded(Data, frozen=True):
    """After-call work ended."""

    contact_id: Name
    agent_id: Name
    wrap_ms: Millis | None = None
    disposition: Name | None = None
    reason: Text | None = None
    segment_id: Name | None = None


class Classified(Data, frozen=True):
    """The reason of the contact became known (a path like `billing/refund`)."""

    contact_id: Name
    reason: Text


class Outcome(Data, frozen=True):
    """A sale or another result. `value_minor` is in the currency's minor unit.

    `eligible` left out means yes: an outcome was recorded. `converted` left out means no.
    """

    contact_id: Name
    outcome: Name
    revision: Count = 0
    agent_id: Name | None = None
    eligible: bool | None = None
    converted: bool | None = None
    value_minor: Whole | None = None
    currency: Name | None = None
    resolved: bool | None = None
    complaint: bool | None = None


class Survey(Data, frozen=True):
    """A customer's answer on a scale."""

    contact_id: Name
    score: float
    scale_min: float
    scale_max: float
    kind: Name | None = None
    agent_id: Name | None = None


class Quality(Data, frozen=True):
    """A supervisor's evaluation of a contact."""

    contact_id: Name
    agent_id: Name
    score: float
    form: Name | None = None
    max: float | None = None
    marks: Annotated[dict[Name, float], Meta(max_length=32)] | None = None
    critical_fail: bool | None = None


class AgentStateChanged(Data, frozen=True):
    """An agent is in `state` from the event's time on (or from `since`)."""

    agent_id: Name
    state: AgentState
    team: Name | None = None
    reason: Text | None = None
    queues: Annotated[tuple[Name, ...], Meta(max_length=100)] | None = None
    since: Instant | None = None


class AgentSnapshot(Data, frozen=True):
    """An agent has been in `state` since `since`: fills in a change that was lost."""

    agent_id: Name
    state: AgentState
    since: Instant
    contacts: Annotated[tuple[Name, ...], Meta(max_length=100)] | None = None
    team: Name | None = None
    queues: Annotated[tuple[Name, ...], Meta(max_length=100)] | None = None


class QueueSnapshot(Data, frozen=True):
    """What the source itself says is waiting; shown beside our own count, closes nothing."""

    queue: Name
    waiting: tuple[tuple[Name, Instant], ...]
    agents_available: Count | None = None


class Reference(Data, frozen=True):
    """Reference data: the `fields` hold for `entity` from `valid_from` on."""

    entity: Name
    valid_from: Instant
    fields: dict[str, object]


class SourceRestarted(Data, frozen=True):
    """A source began anew. Closes nothing."""

    reason: Text | None = None


class Event(
    Struct, frozen=True, gc=False, forbid_unknown_fields=True, kw_only=True, tag_field="type"
):
    """The CloudEvents envelope. `(source, id)` is the key by which duplicates are known.

    `revision`: a higher one of the same `(source, id)` replaces the entry. `sequence`: the
    source's own order, breaks ties at equal time (a whole number, also as a string of digits).
    """

    id: Name
    source: Name
    time: Instant
    subject: Name | None = None
    tenant: Name = DEFAULT_TENANT
    revision: Count = 0
    sequence: (
        Annotated[int, Meta(ge=0, le=1 << 60)] | Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
    ) = 0
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Text | None = None
    dataschema: Text | None = None


class CallQueued(Event, frozen=True, kw_only=True, tag="cc.call.queued.v1"):
    data: Queued


class CallRejected(Event, frozen=True, kw_only=True, tag="cc.call.rejected.v1"):
    data: Rejected


class CallOffered(Event, frozen=True, kw_only=True, tag="cc.call.offered.v1"):
    data: Offered


class CallOfferFailed(Event, frozen=True, kw_only=True, tag="cc.call.offer_failed.v1"):
    data: OfferFailed


class CallAnswered(Event, frozen=True, kw_only=True, tag="cc.call.answered.v1"):
    data: Answered


class CallHeld(Event, frozen=True, kw_only=True, tag="cc.call.held.v1"):
    data: Held


class CallResumed(Event, frozen=True, kw_only=True, tag="cc.call.resumed.v1"):
    data: Resumed


class CallTransferred(Event, frozen=True, kw_only=True, tag="cc.call.transferred.v1"):
    data: Transferred


class CallDequeued(Event, frozen=True, kw_only=True, tag="cc.call.dequeued.v1"):
    data: Dequeued


class CallEnded(Event, frozen=True, kw_only=True, tag="cc.call.ended.v1"):
    data: Ended


class CallStep(Event, frozen=True, kw_only=True, tag="cc.call.step.v1"):
    data: Step


class WrapupStartedEvent(Event, frozen=True, kw_only=True, tag="cc.wrapup.started.v1"):
    data: WrapupStarted


class WrapupEndedEvent(Event, frozen=True, kw_only=True, tag="cc.wrapup.ended.v1"):
    data: WrapupEnded


class ContactClassified(Event, frozen=True, kw_only=True, tag="cc.contact.classified.v1"):
    data: Classified


class OutcomeRecorded(Event, frozen=True, kw_only=True, tag="cc.outcome.recorded.v1"):
    data: Outcome


class SurveySubmitted(Event, frozen=True, kw_only=True, tag="cc.survey.submitted.v1"):
    data: Survey


class QualityScored(Event, frozen=True, kw_only=True, tag="cc.quality.scored.v1"):
    data: Quality


class AgentStateChangedEvent(Event, frozen=True, kw_only=True, tag="cc.agent.state_changed.v1"):
    data: AgentStateChanged


class AgentSnapshotEvent(Event, frozen=True, kw_only=True, tag="cc.agent.snapshot.v1"):
    data: AgentSnapshot


class AgentHeartbeat(Event, frozen=True, kw_only=True, tag="cc.agent.heartbeat.v1"):
    data: AgentSnapshot


class QueueSnapshotEvent(Event, frozen=True, kw_only=True, tag="cc.queue.snapshot.v1"):
    data: QueueSnapshot


class RosterUpdated(Event, frozen=True, kw_only=True, tag="cc.roster.updated.v1"):
    data: Reference


class QueueConfigured(Event, frozen=True, kw_only=True, tag="cc.queue.configured.v1"):
    data: Reference


class TargetSet(Event, frozen=True, kw_only=True, tag="cc.target.set.v1"):
    data: Reference


class ScheduleSet(Event, frozen=True, kw_only=True, tag="cc.schedule.set.v1"):
    data: Reference


class SourceRestartedEvent(Event, frozen=True, kw_only=True, tag="cc.source.restarted.v1"):
    data: SourceRestarted


CONTACT_EVENTS: Final[tuple[type[Event], ...]] = (
    # In the tie order of events of the same moment that have no sequence.
    CallQueued,
    CallRejected,
    CallOffered,
    CallOfferFailed,
    CallAnswered,
    CallHeld,
    CallResumed,
    CallTransferred,
    CallDequeued,
    CallEnded,
    CallStep,
    WrapupStartedEvent,
    WrapupEndedEvent,
    ContactClassified,
    OutcomeRecorded,
    SurveySubmitted,
    QualityScored,
)
AGENT_EVENTS: Final[tuple[type[Event], ...]] = (
    AgentStateChangedEvent,
    AgentSnapshotEvent,
    AgentHeartbeat,
)
REFERENCE_EVENTS: Final[tuple[type[Event], ...]] = (
    RosterUpdated,
    QueueConfigured,
    TargetSet,
    ScheduleSet,
)
OTHER_EVENTS: Final[tuple[type[Event], ...]] = (QueueSnapshotEvent, SourceRestartedEvent)
ALL_EVENTS: Final = CONTACT_EVENTS + AGENT_EVENTS + REFERENCE_EVENTS + OTHER_EVENTS


def type_of(event: type[Event]) -> str:
    """The CloudEvents `type`, for example `cc.call.queued.v1`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def key_of(event: Event) -> str | None:
    """The Kafka key an event must carry: its contact, its agent, or for a snapshot its queue.

    None where any key is accepted: reference data and restarts lie in every partition.
    """
    data = event.data  # type: ignore[attr-defined]
    contact_id: str | None = getattr(data, "contact_id", None)
    if contact_id is not None:
        return contact_id
    if isinstance(event, AGENT_EVENTS):
        return str(data.agent_id)
    return event.data.queue if isinstance(event, QueueSnapshotEvent) else None

"""Events written down as short as a table: `at` is seconds after START (a Sunday, 08:00 UTC)."""

from datetime import datetime, timedelta
from typing import Any

from cc_stream import events as ev
from cc_stream.events import EPOCH, Event
from cc_stream.report.collect import collect_events
from cc_stream.report.lines import Ask, Line, report

START_MS = 1_795_334_400_000
"""2026-11-22T08:00:00Z."""


class Feed:
    """Collects events, each with an id of its own."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, cls: type[Any], at: float, data: object, **envelope: Any) -> "Feed":
        fields = {"id": str(len(self.events)), "source": "/pbx", **envelope}
        self.events.append(cls(time=moment(at), data=data, **fields))
        return self

    def queued(self, at: float, contact: str = "c", queue: str = "sales", **data: Any) -> "Feed":
        return self.add(ev.CallQueued, at, ev.Queued(contact, queue, **data))

    def answered(self, at: float, contact: str = "c", agent: str = "ann", **data: Any) -> "Feed":
        return self.add(ev.CallAnswered, at, ev.Answered(contact, agent, **data))

    def ended(self, at: float, contact: str = "c", **data: Any) -> "Feed":
        return self.add(ev.CallEnded, at, ev.Ended(contact, **data))

    def left(self, at: float, contact: str = "c", queue: str = "sales", **data: Any) -> "Feed":
        reason = data.pop("reason", "abandoned")
        return self.add(ev.CallDequeued, at, ev.Dequeued(contact, queue, reason, **data))

    def outcome(self, at: float, contact: str = "c", revision: int = 0, **data: Any) -> "Feed":
        envelope = {"id": data.pop("id")} if "id" in data else {}
        sold = ev.Outcome(contact, "sale", **data)
        return self.add(ev.OutcomeRecorded, at, sold, revision=revision, **envelope)

    def state(self, at: float, state: Any, agent: str = "ann", **data: Any) -> "Feed":
        return self.add(ev.AgentStateChangedEvent, at, ev.AgentStateChanged(agent, state, **data))

    def roster(self, agent: str, team: str, valid_from: float = -86_400.0) -> "Feed":
        data = ev.Reference(agent, moment(valid_from), {"team": team})
        return self.add(ev.RosterUpdated, valid_from, data)

    def configured(self, queue: str, **fields: object) -> "Feed":
        data = ev.Reference(queue, moment(-86_400.0), fields)
        return self.add(ev.QueueConfigured, -86_400.0, data)

    def lines(self, **ask: Any) -> list[Line]:
        return report(collect_events(self.events), Ask(**ask)).lines

    def metrics(self, by: str, name: str, **ask: Any) -> dict[str, Any]:
        """The metrics of one entity over all."""
        (line,) = [line for line in self.lines(by=by, **ask) if line.entity.id == name]
        return line.metrics


def moment(at: float) -> datetime:
    """`at` seconds after START."""
    return EPOCH + timedelta(milliseconds=START_MS + round(at * 1000))


def ms(at: float) -> int:
    """`at` seconds after START in milliseconds since 1970."""
    return START_MS + round(at * 1000)

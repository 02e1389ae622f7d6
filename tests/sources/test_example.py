"""The example log against the numbers that were computed by hand, by way of the facts."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from cc_stream.agent import StateEntry
from cc_stream.agent import contributions as agent_facts
from cc_stream.contact import RANKS, contributions
from cc_stream.events import AgentStateChangedEvent, Event, SourceRestartedEvent, to_ms
from cc_stream.facts import Answered, Entered, Fact, Handled, Left, OfferFailed, Rejected, StateTime
from cc_stream.facts import Transferred as PassedOn
from cc_stream.segment import Entry
from cc_stream.sources import SOURCES
from cc_stream.sources.source import Options

EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "asterisk_queue_log"
BREAKS = {"break", "training", "meeting", "other"}


def events_of_example() -> list[Event]:
    """The events that hold: of one id, the one with the highest revision."""
    source = SOURCES[0]
    options = Options(source.default_source)
    lines = (EXAMPLE / "queue_log.log").read_bytes().split(b"\n")
    folded = source.fold(source.start(), lines, options)
    events = [*folded.events, *source.flush(folded.state, options, None).events]
    return list({event.id: event for event in events}.values())


def expected(kind: str) -> dict[str, dict[str, Any]]:
    rows = [json.loads(row) for row in (EXAMPLE / "expected.ndjson").read_text().splitlines()]
    return {row["id"]: row["metrics"] for row in rows if row["kind"] == kind}


def contact_facts() -> list[Fact]:
    logs = defaultdict(list)
    for number, event in enumerate(events_of_example()):
        if isinstance(event, AgentStateChangedEvent | SourceRestartedEvent):
            continue
        data = event.data  # type: ignore[attr-defined]
        entry = Entry(
            to_ms(event.time),
            int(event.sequence),
            RANKS[type(event)],
            number,
            event.revision,
            "team",
            data,
        )
        logs[data.contact_id].append(entry)
    return [fact for log in logs.values() for fact in contributions(log)]


def test_queues() -> None:
    facts = contact_facts()
    for queue, metrics in expected("queue").items():
        mine = [fact for fact in facts if getattr(fact, "queue", None) == queue]
        entered = [f for f in mine if isinstance(f, Entered)]
        answered = [f for f in mine if isinstance(f, Answered)]
        left = [f for f in mine if isinstance(f, Left)]
        handled = [f for f in mine if isinstance(f, Handled)]
        waits = [(f.wait_ms or 0) / 1000 for f in answered]
        reasons = Counter(f.reason for f in left)
        assert len(entered) == metrics["offered"]
        assert sum(f.first for f in entered) == metrics["contacts"]
        assert sum(f.transferred for f in entered) == metrics["transferred_in"]
        assert len(answered) == metrics["answered"]
        assert sum(waits) / len(waits) == metrics["queue_wait_mean_seconds"]
        assert max(waits) == metrics["queue_wait_max_seconds"]
        assert reasons.pop("abandoned", 0) == metrics["abandoned"]
        assert reasons == metrics["other_exits"]
        assert len(handled) == metrics["handled"]
        assert sum(f.talk_ms for f in handled) / 1000 == metrics["talk_total_seconds"]
        assert sum(f.wrap_ms for f in handled) / 1000 == metrics["wrap_mean_seconds"] * len(handled)
        assert sum(isinstance(f, PassedOn) for f in mine) == metrics["transferred_out"]
        assert sum(isinstance(f, OfferFailed) for f in mine) == metrics["offer_failed"]
        rejected = Counter(f.reason for f in mine if isinstance(f, Rejected))
        assert rejected == metrics["rejected"]


def test_agents() -> None:
    facts = contact_facts()
    timelines = defaultdict(list)
    for number, event in enumerate(events_of_example()):
        if isinstance(event, AgentStateChangedEvent):
            data = event.data
            entry = StateEntry(
                to_ms(event.time), int(event.sequence), number, 0, data.state, "team"
            )
            timelines[data.agent_id].append(entry)
    assert timelines.keys() == expected("agent").keys()
    for agent, metrics in expected("agent").items():
        handled = [f for f in facts if isinstance(f, Handled) and f.agent == agent]
        assert len(handled) == metrics["handled"]
        assert sum(f.talk_ms for f in handled) / 1000 == metrics["talk_total_seconds"]
        spent: Counter[str] = Counter()
        for fact in agent_facts(agent, timelines[agent]):
            if isinstance(fact, StateTime):
                spent[fact.state] += (fact.end - fact.start) // 1000
        busy = spent["on_contact"] + spent["wrapup"]
        assert sum(spent.values()) == metrics["login_seconds"]
        assert sum(spent[state] for state in BREAKS) == metrics["pause_seconds"]
        assert spent["wrapup"] == metrics["wrap_seconds"]
        assert busy / (busy + spent["available"]) == metrics["occupancy"]

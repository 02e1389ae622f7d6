"""The floor stage of the agents topic: timelines. One changelog record per state."""

from collections.abc import Iterable, Iterator
from typing import Any

from cc_stream import agent as agent_timeline
from cc_stream.admit import Admitted, Verdict, admit_agent
from cc_stream.agent import Agent
from cc_stream.events import AGENT_EVENTS, Event, key_of
from streams.floor.intake import LOG, Intake, Plan, key_of_state, pack, unpack
from streams.stage import Record, Write


class Agents(Intake):
    """Keeps the timelines of agents."""

    name = "agents"

    def __init__(self, plan: Plan, partition: int) -> None:
        topics = plan.topics
        super().__init__(plan, topics.agents, partition, topics.agents_changelog.name)
        self.touched: set[tuple[str, str]] = set()
        self.stored: dict[tuple[str, str], dict[int, agent_timeline.StateEntry]] = {}

    def _admit(self, event: Event, record: Record) -> Verdict:
        verdict = admit_agent(self.ledger, event, record.key, record.timestamp)
        if isinstance(event, AGENT_EVENTS):
            # What was forgotten on the way decides about later events: it is stored, too.
            log = (event.tenant, key_of(event) or "")
            agent = self.ledger.agents.get(log)
            if agent is not None and agent.forgotten:
                self.touched.add(log)
        return verdict

    def _touched(self, verdict: Admitted) -> None:
        self.touched.add(verdict.log)

    def _cut_logs(self) -> list[Write]:
        writes = []
        for log in self.touched:
            agent = self.ledger.agents[log]
            stored = self.stored.setdefault(log, {})
            kept = {entry.key: entry for entry in agent.entries}
            for number, entry in kept.items():
                if stored.get(number) != entry:
                    stored[number] = entry
                    writes.append(self._write(log, number, agent_timeline.pack(entry)))
            writes += [
                self._write(log, number, None)
                for number in agent.forgotten
                if number not in kept and stored.pop(number, None) is not None
            ]
            if agent.forgotten:
                agent.forgotten.clear()
                writes.append(self._write(log, 0, pack(agent.kept_from_ms)))
        self.touched.clear()
        return writes

    def _write(self, log: tuple[str, str], number: int, value: bytes | None) -> Write:
        return Write(self.changelog, self.partition, key_of_state(LOG, *log, number), value)

    def restore(
        self, memory: dict[str, Any], items: Iterable[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """See Stage."""
        yield from super().restore(memory, items)
        for agent in self.ledger.agents.values():
            agent.entries.sort(key=agent_timeline.place)
            yield

    def _restore_log(self, names: list[Any], value: bytes) -> None:
        tenant, agent_id, number = names
        log = (tenant, agent_id)
        agent = self.ledger.agents.get(log)
        if agent is None:
            agent = Agent(agent_id, max_age_ms=self.plan.limits.agent_max_age_ms)
            self.ledger.agents[log] = agent
        if number == 0:
            agent.kept_from_ms = unpack(value)
            return
        entry = agent_timeline.unpack(value)
        agent.entries.append(entry)
        self.stored.setdefault(log, {})[number] = entry

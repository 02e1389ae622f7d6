"""The end of a run: everything that is live or stored, value by value, against the report.

| what | where it lies |
|---|---|
| views, leaderboards | Redis, at one moment |
| contacts, metrics, leaderboards | the last value of each key of their topics |
| panes, what is open | the board's changelog |
| dead letters | their topic, by the place of the record: each once, with its rule |
"""

from collections.abc import Mapping
from typing import Final

import orjson
from msgspec import Struct

from cc_stream.installation import terms_of_settings
from cc_stream.leaderboard import Leaderboard
from cc_stream.outputs import board_of, view_of
from cc_stream.report.compare import NOT_THERE, Comparison, Difference, compare
from cc_stream.report.oracle import Oracle, Rules
from cc_stream.sinks import open_reader
from cc_stream.view import View
from streams.stage import POSITION_KEY
from tests.chaos import outputs
from tests.chaos.floor import Floor
from tests.chaos.letters import Letters, collect, written_letters
from tests.chaos.panes import now_of, reported_panes, stored_panes

PANES: Final = "panes"
LETTERS: Final = "dead letters"
NOTHING: Final = 0
MORE_THAN_ONCE: Final = "several views of one name"


class Proof(Struct):
    """What was compared, by kind, and what differs."""

    events: int
    compared: dict[str, int]
    wrong: list[Difference]
    lost: list[Difference]
    duplicated: list[Difference]

    @property
    def values(self) -> int:
        """How many values were compared."""
        return sum(self.compared.values())

    @property
    def is_proof(self) -> bool:
        """Nothing differs, and of every kind there was something to compare."""
        return not (self.wrong or self.lost or self.duplicated) and all(self.compared.values())


async def prove(floor: Floor, promised: Letters) -> Proof:
    """Drain, read what is shown, stop the workers, and compare; `promised` are a fault's letters.

    Raises:
        AssertionError: the line did not come to rest, or a worker did not end in order.
        NotDrainedError: the same.
    """
    await floor.drained()
    views, boards = await floor.views(), await _leaderboards(floor)
    await floor.stop()
    collected, letters, events = await collect(floor)
    rules = Rules(terms_of_settings(floor.settings))
    contacts = {k.decode(): orjson.loads(v) for k, v in (await _last(floor, "contacts")).items()}
    compared = compare(collected, views, contacts, boards, rules)
    oracle = Oracle(collected, rules)
    rest = Comparison(
        dict.fromkeys((outputs.METRICS, outputs.LEADERBOARDS_TOPIC, PANES, LETTERS), 0), []
    )
    await _compare_topics(rest, floor, oracle, views)
    await _compare_panes(rest, floor, oracle)
    await _compare_letters(rest, floor, letters, promised)
    return _proof(events, compared, rest)


async def _leaderboards(floor: Floor) -> list[Leaderboard]:
    reader = open_reader(floor.settings)
    try:
        return [
            board for name in await reader.tenants() for board in await reader.leaderboards(name)
        ]
    finally:
        await reader.close()


async def _last(floor: Floor, topic: str) -> Mapping[bytes, bytes]:
    values = await floor.last_values(getattr(floor.topics, topic))
    return {key: value for (_, key), value in values.items()}


async def _compare_topics(
    found: Comparison, floor: Floor, oracle: Oracle, shown: list[View]
) -> None:
    partitions = floor.topics.deltas.partitions
    views = [view_of(value) for value in (await _last(floor, "metrics")).values()]
    outputs.compare_views(found, oracle, views, shown, partitions)
    read = [orjson.loads(value) for value in (await _last(floor, "leaderboards")).values()]
    boards = [board_of(head, head["standings"]) for head in read]
    outputs.compare_leaderboards(found, oracle, boards, partitions)


async def _compare_panes(found: Comparison, floor: Floor, oracle: Oracle) -> None:
    values = await floor.last_values(floor.topics.panes_changelog)
    stored = stored_panes({key: value for (_, key), value in values.items()})
    now_ms = now_of(value for (_, key), value in values.items() if key == POSITION_KEY)
    expected = reported_panes(oracle.book, now_ms)
    for place in sorted(stored.keys() | expected.keys(), key=str):
        found.value(PANES, str(place), "vector", stored.get(place, {}), expected.get(place, {}))


async def _compare_letters(
    found: Comparison, floor: Floor, expected: Letters, promised: Letters
) -> None:
    written = written_letters(await floor.records(floor.topics.dead_letters))
    for place in sorted(expected.keys() | promised.keys() | written.keys()):
        rules = written.get(place, [])
        found.value(LETTERS, place, "letters", len(rules), int(place in expected))
        for rule in rules:
            found.value(LETTERS, place, "rule", rule, expected.get(place, NOT_THERE))
        if place in promised:
            found.value(LETTERS, place, "promised", expected.get(place), promised[place])


def _proof(events: int, *comparisons: Comparison) -> Proof:
    proof = Proof(events, {}, [], [], [])
    for comparison in comparisons:
        proof.compared |= comparison.compared
        for difference in comparison.differ:
            _kind_of(proof, difference).append(difference)
    return proof


def _kind_of(proof: Proof, difference: Difference) -> list[Difference]:
    """Lost: the report has it, and it is not there. Duplicated: it is there too often."""
    live, report = difference.live, difference.report
    if difference.what == LETTERS and difference.name == "letters":
        return proof.lost if live < report else proof.duplicated
    if live in (NOT_THERE, {}):
        return proof.lost
    if report in (NOT_THERE, {}) or live == MORE_THAN_ONCE:
        return proof.duplicated
    return proof.wrong

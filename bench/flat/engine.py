"""Flat work on our engine: shards, owner and driver of the product, exactly once as always.

Timed from the first record after the warm ones until the boards have applied the last delta. What
is still to be committed then are the boards' windows, a second's worth.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiokafka import TopicPartition

from bench.flat.calls import FULL, check, dump, provide
from bench.flat.stages import Board, FlatTopics, Floor
from bench.inputs import PARTITIONS, Input
from bench.place import Place, child, topics_removed
from cc_stream.config import load_settings
from cc_stream.telemetry import Telemetry
from cc_stream.topics import Topic, provision
from streams.broker import Broker
from streams.driver import GroupSettings, create_app
from streams.driver import run as run_app
from streams.interpreter import tune_interpreter
from streams.owner import Owner
from streams.shard import Shard

LOOK_SECONDS: Final = 0.005
_COMPACTED: Final = {"cleanup.policy": "compact", "compression.type": "producer"}


def flat_topics(name: str) -> FlatTopics:
    """The calls as they lie there, and topics of this candidate's own."""

    def topic(own: str, config: Mapping[str, str]) -> Topic:
        return Topic(f"{name}.{own}", PARTITIONS, config, "", "")

    return FlatTopics(
        calls=Topic(FULL.topic, PARTITIONS, {}, "agent", "completed calls"),
        floor_changelog=topic("floor-changelog", _COMPACTED),
        deltas=topic("deltas", {}),
        panes_changelog=topic("panes-changelog", _COMPACTED),
    )


async def run(place: Place, _given: Input, name: str) -> dict[str, float]:
    """Count the calls in a process of its own, and check every window.

    Raises:
        BenchError: it failed, or a window is wrong.
    """
    await provide(place, FULL)
    topics = flat_topics(name)
    await provision(place.broker, (topics.floor_changelog, topics.deltas, topics.panes_changelog))
    panes = place.folder / f"{name}.tsv"
    async with topics_removed(place, name):
        figures = await asyncio.to_thread(child, __name__, place.broker, name, panes)
        check(panes, FULL.total)
    return figures


class Progress:
    """Looks at the stages until all is counted; then prints the figures and ends the process."""

    def __init__(self, owner: Owner, panes: Path) -> None:
        self.owner = owner
        self.panes = panes

    async def follow(self) -> None:
        """Look every few milliseconds."""
        warm = await self._until(Floor, FULL.warm)
        started, cpu = time.perf_counter(), time.process_time()
        await self._until(Board, FULL.total)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        boards = [s.stage for s in self.owner.live() if isinstance(s.stage, Board)]
        dump(self.panes, (pane for board in boards for pane in board.panes.all.items()))
        timed = FULL.total - warm
        figures = {
            "events_per_second": timed / seconds,
            "cpu_us_per_event": cpu / timed * 1e6,
        }
        print(json.dumps(figures), flush=True)
        os._exit(0)

    async def _until(self, kind: type[Floor] | type[Board], wanted: int) -> int:
        """Wait until the stages of a kind have counted so many, and how many they have."""
        while (counted := self._counted(kind)) < wanted:  # noqa: ASYNC110 - none of them tells
            await asyncio.sleep(LOOK_SECONDS)
        return counted

    def _counted(self, kind: type[Floor] | type[Board]) -> int:
        stages = (shard.stage for shard in self.owner.live())
        return sum(stage.counted for stage in stages if isinstance(stage, kind))


def main(bootstrap: str, name: str, panes: Path) -> int:
    """Run a worker with the two stages, set as the product's."""
    settings, topics, telemetry = load_settings(), flat_topics(name), Telemetry()
    group = GroupSettings(name, bootstrap, settings.session_seconds, None, {})
    broker = Broker(bootstrap, name, 10_000, {})

    def make(tp: TopicPartition) -> Shard:
        if tp.topic == topics.calls.name:
            floor = Floor(topics, tp.partition)
            return Shard(broker, tp, topics.floor_changelog.name, floor, telemetry)
        board = Board(topics, tp.partition)
        return Shard(broker, tp, topics.panes_changelog.name, board, telemetry)

    flush_seconds = dict.fromkeys((Floor.name, Board.name), settings.flush_seconds)
    owner = Owner(make, group.heartbeat_seconds, flush_seconds, telemetry.dropped)
    tasks = (owner.flush_loop, Progress(owner, panes).follow)
    sources = (topics.calls, topics.deltas)
    return run_app(create_app(group, owner, sources, tasks, owner.close, telemetry))


if __name__ == "__main__":
    tune_interpreter()
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

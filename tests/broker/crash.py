"""A floor under load whose workers are killed, paused and joined by others, and its proof.

Everything waits for a condition: a number of events written, a number of shards owned. Nothing is
timed, so a slow machine runs the same schedule.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from cc_stream.cli import drain
from cc_stream.cli.scrape import Scrape, scrape
from cc_stream.config import Settings, load_settings
from cc_stream.installation import limits_of, terms_of_settings, topics_of
from cc_stream.local.ports import free_port
from cc_stream.panes import COARSE_MS, FINE_MS, Window
from cc_stream.report.book import Book
from cc_stream.report.collect import Collected, facts
from cc_stream.report.compare import Comparison
from cc_stream.report.live import compare_live
from cc_stream.report.oracle import Rules
from cc_stream.report.topic import collect_topics, last_values
from cc_stream.sinks import open_reader
from cc_stream.topics import provision
from cc_stream.view import Entity
from cc_stream.windows import COARSE_KEPT_MS, FINE_KEPT
from streams.stage import POSITION_KEY

DEADLINE_SECONDS = 90.0
POLL_SECONDS = 0.05


async def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Wait for a condition with a deadline; it may not block for long."""
    end = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(condition)
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds:.0f} s: {what}")
        await asyncio.sleep(POLL_SECONDS)


class Worker:
    """A worker process with settings of its own environment."""

    def __init__(self, settings: dict[str, str], folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.starts += 1
        path = self.folder / f"worker-{id(self)}-{self.starts}.log"
        with path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.worker"],
                env={**os.environ, **self.settings, "CC_METRICS_PORT": str(port)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.send(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def shards(self) -> int:
        """How many shards it owns, 0 while it does not answer."""
        return sum(round(s.value) for s in self._samples("cc_shards_owned"))

    def _samples(self, name: str) -> Iterator[Any]:
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:  # noqa: S310 - http
                text = answer.read().decode()
        except OSError:
            return
        for family in text_string_to_metric_families(text):
            yield from (sample for sample in family.samples if sample.name == name)


class CrashFloor:
    """Topics of its own, and workers that can be harmed."""

    def __init__(self, bootstrap: str, redis: str, name: str, folder: Path) -> None:
        given = {
            "broker": bootstrap,
            "redis": redis,
            "app_id": name,
            "topic_prefix": name,
            "timezone": "Europe/Berlin",
            "session_seconds": "2",
        }
        self.environment = {f"CC_{key.upper()}": value for key, value in given.items()}
        self.settings: Settings = load_settings(**given)
        self.topics = topics_of(self.settings)
        self.all_shards = sum(
            topic.partitions
            for topic in (
                self.topics.calls,
                self.topics.agents,
                self.topics.reference,
                self.topics.deltas,
            )
        )
        self.folder = folder
        self.workers: list[Worker] = []

    async def open(self) -> None:
        await provision(self.settings.broker, self.topics)

    def add_worker(self) -> Worker:
        worker = Worker(self.environment, self.folder)
        self.workers.append(worker)
        worker.start()
        return worker

    async def settled(self) -> None:
        """Wait until the workers own every shard between them."""
        await until(
            lambda: sum(w.shards() for w in self.workers if w.is_alive()) == self.all_shards,
            "every shard is owned",
        )

    async def scrape(self) -> Scrape:
        return await asyncio.to_thread(scrape, [w.url for w in self.workers if w.is_alive()])

    async def compare(self) -> Comparison:
        """Drain, take one last tick, and hold everything live against the report."""
        await drain.wait_for_floor(self.scrape, self.topics, DEADLINE_SECONDS)
        reader = open_reader(self.settings)
        try:

            async def as_of() -> dict[int, int]:
                return {shard: s.as_of_ms for shard, s in (await reader.shards()).items()}

            await drain.show_one_moment(self.settings, self.topics, as_of, 60)
            rules = Rules(terms_of_settings(self.settings))
            limits = limits_of(self.settings)
            return await compare_live(reader, self.settings.broker, self.topics, limits, rules)
        finally:
            await reader.close()

    async def wrong_panes(self) -> tuple[int, list[str]]:
        """How many stored panes there are, and those that differ from the report's sums.

        The workers must have stopped: a pane is stored by the last flush.
        """
        bootstrap = self.settings.broker
        stored = await last_values(bootstrap, self.topics.panes_changelog.name)
        collected = await collect_topics(bootstrap, self.topics, limits_of(self.settings), None)
        return _wrong_panes(stored, collected)

    def close(self) -> None:
        for worker in self.workers:
            if worker.is_alive():
                worker.send(signal.SIGCONT)
                worker.kill()


def _wrong_panes(stored: dict[bytes, bytes], collected: Collected) -> tuple[int, list[str]]:
    """Every stored pane equals the report's sum, and every pane of the report is stored."""
    book = Book(facts(collected))
    now_ms = min(
        msgspec.msgpack.decode(value)["memory"]["now_ms"]
        for key, value in stored.items()
        if key == POSITION_KEY
    )
    panes: dict[tuple[Entity, str, int], dict[int, int]] = {}
    for key, value in stored.items():
        if key == POSITION_KEY:
            continue
        kind, *names = msgspec.msgpack.decode(key)
        if kind == b"p":
            tenant, of, name, team, resolution, pane = names
            flat = msgspec.msgpack.decode(value)
            vector = dict(zip(flat[::2], flat[1::2], strict=True))
            panes[Entity(tenant, of, name, team), resolution, pane] = vector
    expected = _expected_panes(book, now_ms)
    places = panes.keys() | expected.keys()
    wrong = [
        f"{place}: stored {panes.get(place)}, report {expected.get(place)}"
        for place in sorted(places, key=str)
        if panes.get(place, {}) != expected.get(place, {})
    ]
    return len(panes), wrong


def _expected_panes(book: Book, now_ms: int) -> dict[tuple[Entity, str, int], dict[int, int]]:
    kept = {"fine": FINE_KEPT * FINE_MS, "coarse": COARSE_KEPT_MS}
    expected: dict[tuple[Entity, str, int], dict[int, int]] = {}
    for kind in ("queue", "campaign", "agent"):
        for entity in book.of_kind(kind):
            live = book.live(entity)
            if live:
                expected[entity, "live", 0] = live
            for resolution, length in (("fine", FINE_MS), ("coarse", COARSE_MS)):
                moments = {ms // length for ms in book.moments_of(entity)}
                for time_in in book.times_of(entity):
                    moments |= set(range(time_in.start // length, -(-time_in.end // length)))
                for pane in moments:
                    window = Window(pane * length, (pane + 1) * length)
                    vector = book.sum(entity, window)
                    if (
                        vector
                        and window.end_ms > -(-now_ms // FINE_MS) * FINE_MS - kept[resolution]
                    ):
                        expected[entity, resolution, pane] = vector
    return expected

"""Flat work on Kafka Streams (Java, `bench/kafka_streams/`): built once, run in a JVM of its own.

Two window stores, by agent and by team, with changelog and cache.
The JVM is warm: it has counted the warm calls before the clock runs.
"""

import asyncio
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.flat.calls import FULL, check, provide
from bench.inputs import Input
from bench.place import BenchError, Place, figures_of, topics_removed
from cc_stream.local.folder import DEFAULT_ROOT, downloads_folder, locked
from cc_stream.local.kafka_libs import java_program, kafka_version

PROJECT: Final = Path(__file__).parents[1] / "kafka_streams"
JVM_OPTIONS: Final = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC")
BUILD_SECONDS: Final = 600


class Form(Struct, frozen=True):
    """How Kafka Streams is set: `store` is `memory` or `rocksdb`."""

    store: str
    guarantee: str
    threads: int


FORMS: Final = {
    "kafka_streams_1": Form("memory", "at_least_once", 1),
    "kafka_streams_2": Form("memory", "at_least_once", 2),
    "kafka_streams_rocksdb_1": Form("rocksdb", "at_least_once", 1),
    "kafka_streams_eos_2": Form("memory", "exactly_once_v2", 2),
    "kafka_streams_rocksdb_eos_2": Form("rocksdb", "exactly_once_v2", 2),
}


IN_RATIOS: Final = ("kafka_streams_1", "kafka_streams_eos_2")
"""Measured in every repetition; how the others differ is seen once."""


async def run(form: Form, place: Place, _given: Input, name: str) -> dict[str, float]:
    """Count the calls, and check every window.

    Raises:
        BenchError: it could not be built or failed, or a window is wrong.
        MissingToolError: no Java.
    """
    classes = await asyncio.to_thread(_built)
    await provide(place, FULL)
    panes, state = place.folder / f"{name}.tsv", place.folder / name
    command = [
        *(java_program(), *JVM_OPTIONS, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-cp", f"{classes}/*:{classes}/libs/*", "bench.Flat", place.broker, FULL.topic, name),
        *(str(FULL.warm), str(FULL.total), form.store, form.guarantee, str(form.threads)),
        *(str(state), str(panes)),
    ]
    async with topics_removed(place, name):
        figures = await asyncio.to_thread(figures_of, command)
        check(panes, FULL.total)
    shutil.rmtree(state, ignore_errors=True)
    return figures


RUNS: Final = {name: partial(run, form) for name, form in FORMS.items()}


def _built() -> Path:
    """The folder with the jars; built by Maven when the sources are newer than it.

    Raises:
        BenchError: no Maven, or it failed (it needs a JDK: a JRE has no compiler).
    """
    downloads = downloads_folder(DEFAULT_ROOT)
    out = downloads / "kafka-streams"
    jar = out / "bench-kafka-streams-1.jar"
    newest = max(path.stat().st_mtime for path in PROJECT.rglob("*") if path.is_file())
    with locked(downloads / "kafka-streams.lock", wait=True):
        if not jar.exists() or jar.stat().st_mtime < newest:
            _build(out, downloads / "maven")
    return out


def _build(out: Path, repository: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BenchError("no Maven found to build Kafka Streams' candidate with: install mvn")
    options = [f"-Dkafka.version={kafka_version()}", f"-Dmaven.repo.local={repository}"]
    command = [maven, "-B", "-q", "-f", str(PROJECT / "pom.xml"), *options, f"-Dout={out}"]
    done = subprocess.run(
        [*command, "package"], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        raise BenchError(f"Kafka Streams' candidate was not built:\n{done.stdout[-2000:]}")

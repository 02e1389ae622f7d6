"""The programs of a Kafka broker: the Java that runs it, and its jars, fetched once with Maven."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cc_stream.errors import MissingToolError
from cc_stream.local.folder import locked
from cc_stream.local.process import LocalServerError, spawn

POM = Path(__file__).with_name("kafka-pom.xml")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JAVA_NEEDED = 17
FETCH_BYTES = 64_000_000
"""What one fetch brings, Maven's own plugins included (measured; close enough for a bar)."""

POLL_SECONDS = 0.2
WAY_OUT = "or give --broker HOST:PORT --redis URL, or run `docker compose --profile demo up`"

Progress = Callable[[int, int], None]
"""Called about five times a second with the bytes fetched so far and the bytes expected."""


def no_progress(_done: int, _expected: int) -> None:
    """Show nothing."""


def kafka_version() -> str:
    """The version of Apache Kafka that `kafka-pom.xml` names."""
    found = re.search(r"<kafka.version>(.+)</kafka.version>", POM.read_text())
    if found is None:
        raise LocalServerError(f"{POM.name} names no <kafka.version>")
    return found[1]


def java_program() -> str:
    """Find a Java on the PATH that can run the broker.

    Raises:
        MissingToolError: there is none, or it is older than 17.
    """
    java = shutil.which("java")
    if java is None:
        raise _java_missing("no Java found")
    # A new JVM answers on standard error: openjdk version "17.0.15" 2025-04-15 (8 says "1.8.0_…").
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if version is None:
        raise _java_missing(f"{java} does not tell its version")
    if int(version[1]) < JAVA_NEEDED:
        raise _java_missing(f"{java} is Java {version[1]}")
    return java


def kafka_libs(downloads: Path, progress: Progress = no_progress) -> Path:
    """Return the folder with the broker's jars, fetched from Maven Central when it is not there.

    An interrupted fetch leaves no broken folder: the jars appear under their name when all are
    there, and the next fetch goes on with what the last one brought. Two processes may call this
    at the same time; one waits for the other.

    Raises:
        MissingToolError: the jars have to be fetched and there is no Maven.
        LocalServerError: Maven could not fetch them.
    """
    libs = downloads / f"kafka-{kafka_version()}" / "libs"
    if libs.is_dir():
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingToolError(
            f"no Maven found to fetch Kafka with: install Maven (mvn), {WAY_OUT}"
        )
    with locked(downloads / "kafka.lock", wait=True):
        if not libs.is_dir():
            partial = downloads / f"kafka-{kafka_version()}.partial"
            _fetch(maven, partial, progress)
            libs.parent.mkdir(parents=True, exist_ok=True)
            (partial / "libs").rename(libs)
            shutil.rmtree(partial)
    return libs


def _fetch(maven: str, partial: Path, progress: Progress) -> None:
    """Copy the jars to ``partial/libs``, by way of a Maven repository beside it."""
    repository, libs = partial / "repository", partial / "libs"
    shutil.rmtree(libs, ignore_errors=True)
    repository.mkdir(parents=True, exist_ok=True)
    options = [f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={libs}"]
    command = [maven, "--batch-mode", "--file", str(POM), *options, "-DincludeScope=runtime", COPY]
    with tempfile.TemporaryFile() as log:
        process = spawn(command, log)
        try:
            while process.poll() is None:
                progress(_size(repository), FETCH_BYTES)
                try:
                    process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            log.seek(0)
            reason = _first_error(log.read().decode(errors="replace"))
            raise LocalServerError(f"Kafka {kafka_version()} could not be fetched: {reason}")
    progress(FETCH_BYTES, FETCH_BYTES)


def _size(folder: Path) -> int:
    """Bytes of all files below ``folder``; a file that is renamed meanwhile may be left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _first_error(maven_log: str) -> str:
    """The line in which Maven says what went wrong."""
    errors = [line for line in maven_log.splitlines() if line.startswith("[ERROR]")]
    return errors[0].removeprefix("[ERROR]").strip() if errors else "Maven ended without a reason"


def _java_missing(what: str) -> MissingToolError:
    return MissingToolError(f"{what}: install Java {JAVA_NEEDED} or newer, {WAY_OUT}")

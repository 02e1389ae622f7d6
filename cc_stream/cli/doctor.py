"""`cc-stream doctor`: looks at everything that a worker needs, and says what to do."""

import asyncio
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from cc_stream.cli import options
from cc_stream.errors import CcStreamError

if TYPE_CHECKING:
    from cc_stream.config import Settings
    from cc_stream.topics import Topics

NAME: Final = "doctor"
EXAMPLES: Final = options.examples(
    ("cc-stream doctor", "what the settings of this folder and environment name"),
    ("cc-stream doctor --broker kafka:9092 --redis redis://redis/0", "exit code 1: something is"),
)
ANSWER_SECONDS: Final = 5.0
CLOCK_SECONDS: Final = 2.0
"""A clock that is off by more is told: the age of the boards is wrong by as much."""
OLDEST_PYTHON: Final = (3, 11)
OLDEST_REDIS: Final = (6, 2)
PINNED: Final = {"faust-streaming": "0.15.", "aiokafka": "0.14."}
"""Versions whose private parts `streams.driver` uses; a test looks at the names."""
KEEPS_KEYS: Final = ("noeviction", "volatile-lru", "volatile-lfu", "volatile-ttl")


class Found(NamedTuple):
    """One finding: what was looked at, what was seen, and what to do if it is not well."""

    what: str
    seen: str
    advice: str = ""
    well: bool = False


Check = Callable[["Settings"], Awaitable[list[Found]]]


def command(
    broker: options.Broker = None,
    redis: options.Redis = None,
    topic_prefix: options.TopicPrefix = None,
    settings: options.SettingsFile = None,
    set_: options.Set = None,
) -> None:
    """Check broker, topics, Redis, clocks and versions, and say what to do.

    Changes nothing. Exit code 1 when something is wrong.
    """
    overrides = options.given(set_, broker=broker, redis=redis, topic_prefix=topic_prefix)
    found = asyncio.run(examine(options.load(settings, overrides)))
    for finding in found:
        _show(finding)
    wrong = sum(not finding.well for finding in found)
    typer.echo(f"\n{wrong} of {len(found)} to look at" if wrong else "\nall well")
    raise typer.Exit(1 if wrong else 0)


async def examine(settings: "Settings") -> list[Found]:
    """Everything that can be found; a server that is away is a finding, not an error."""
    groups = await asyncio.gather(versions(settings), kafka(settings), redis_server(settings))
    return [finding for group in groups for finding in group]


async def versions(_settings: "Settings") -> list[Found]:
    """Python, and the packages whose private parts are used."""
    new_enough = sys.version_info >= OLDEST_PYTHON
    found = [
        Found("Python", platform.python_version(), "use Python 3.11 or newer", new_enough),
    ]
    if not __debug__:
        found.append(Found("assertions", "off", "run Python without -O: aiokafka relies on them"))
    for package, prefix in PINNED.items():
        try:
            there = version(package)
        except PackageNotFoundError:
            there = "missing"
        advice = f"install {package} {prefix}x: its private parts are used"
        found.append(Found(package, there, advice, there.startswith(prefix)))
    return found


async def kafka(settings: "Settings") -> list[Found]:
    """The broker and its topics, and the broker's clock against ours."""
    from cc_stream.installation import topics_of
    from cc_stream.topics import check

    wanted = topics_of(settings)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            findings = await check(settings.broker, wanted, security=settings.kafka_security())
            ahead = await _broker_ahead(settings, wanted) if not findings else None
    except (CcStreamError, TimeoutError) as error:
        advice = "start it, or give its address with --broker (for a try: `cc-stream demo`)"
        return [Found("Kafka", _one_line(error, settings.broker), advice)]
    found = [Found("Kafka", f"answers at {settings.broker}", well=True)]
    found += [Found("topic", str(each), topic_advice(each.what, each.topic)) for each in findings]
    if not findings:
        found.append(Found("topics", f"{len(list(wanted))} as they have to be", well=True))
    if ahead is not None:
        found.append(clock_finding("Kafka", ahead))
    return found


async def _broker_ahead(settings: "Settings", wanted: "Topics") -> float:
    """By how many seconds at least the broker's clock is ahead of ours.

    Its clock stamps the event topics, so the latest stamp may not lie in our future.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker, **settings.kafka_security())
    try:
        await consumer.start()
        partitions = [TopicPartition(wanted.calls.name, p) for p in range(wanted.calls.partitions)]
        found = await consumer.offsets_for_times(
            dict.fromkeys(partitions, round(time.time() * 1000) + round(CLOCK_SECONDS * 1000))
        )
        now = time.time()
    finally:
        await consumer.stop()
    stamps = [each.timestamp / 1000 for each in found.values() if each is not None]
    return max(0.0, max(stamps) - now) if stamps else 0.0


def topic_advice(what: str, topic: str) -> str:
    """What to do about a difference of a topic."""
    if what == "missing":
        return "run `cc-stream topics --create`"
    if what == "partitions":
        return "set the partitions in the settings to what is there; adding some moves keys"
    return f"run `kafka-configs.sh --alter --topic {topic} --add-config {what}=…`"


async def redis_server(settings: "Settings") -> list[Found]:
    """Redis: whether it answers, its version, what it drops when it is full, and its clock."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    address = settings.redis.get_secret_value()
    client: Redis = Redis.from_url(address, socket_timeout=ANSWER_SECONDS)
    try:
        info: dict[str, Any] = await client.info()
        before = time.time()
        seconds, micros = await client.time()
        after = time.time()
    except (RedisError, OSError) as error:
        advice = "start it, or give its address with --redis; the stream goes on without it"
        return [Found("Redis", _one_line(error, settings.redis_shown), advice)]
    finally:
        await client.aclose()
    skew = clock_skew(seconds + micros / 1e6, before, after)
    return [*redis_findings(info, settings.redis_shown), clock_finding("Redis", skew)]


def redis_findings(info: dict[str, Any], where: str) -> list[Found]:
    """What `INFO` tells."""
    text = str(info.get("redis_version", "0"))
    number = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    found = [Found("Redis", f"{text} at {where}", "use 6.2 or newer", number >= OLDEST_REDIS)]
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), info.get("maxmemory", 0)
    keeps = not limit or policy in KEEPS_KEYS
    advice = "set maxmemory-policy to noeviction or volatile-ttl: else views vanish when it is full"
    found.append(Found("Redis memory", f"{policy}, limit {limit or 'none'}", advice, keeps))
    return found


def clock_skew(theirs: float, before: float, after: float) -> float:
    """By how many seconds at least another clock, asked between `before` and `after`, is ahead."""
    if before <= theirs <= after:
        return 0.0
    return theirs - after if theirs > after else theirs - before


def clock_finding(of: str, skew: float) -> Found:
    """Whether a clock is near enough to ours."""
    return Found(
        f"clock of {of}",
        f"{skew:+.1f} s against this machine",
        "let all machines take their time from NTP",
        abs(skew) <= CLOCK_SECONDS,
    )


def _one_line(error: BaseException, where: str) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"does not answer at {where}: {text}"


def _show(finding: Found) -> None:
    mark, colour = ("ok ", typer.colors.GREEN) if finding.well else ("BAD", typer.colors.RED)
    typer.secho(mark, fg=colour, bold=True, nl=False)
    typer.echo(f"  {finding.what}: {finding.seen}")
    if not finding.well and finding.advice:
        typer.echo(f"     → {finding.advice}")

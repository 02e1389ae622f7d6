"""The topics: the one place that knows their names, partitions, keys and configuration."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from cc_stream.errors import CcStreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_VISIBLE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_CHECKED: Final = ("cleanup.policy", "message.timestamp.type")

_EVENTS: Final = {
    # `admit` holds an event's time against the broker's; a producer's clock would prove nothing.
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    "retention.ms": str(7 * _DAY_MS),
}
_UPSERTS: Final = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
_CHANGELOG: Final = {
    **_UPSERTS,
    # Only closed segments are compacted, and a shard reads what is left when it loads.
    "segment.bytes": str(64 << 20),
    "compression.type": "producer",
}


class TopicError(CcStreamError):
    """The broker cannot be reached, or refused to make a topic."""


class Topic(msgspec.Struct, frozen=True):
    """One topic as it has to be on the broker. `key` and `doc` are for people."""

    name: str
    partitions: int
    config: Mapping[str, str]
    key: str
    doc: str


class Topics(msgspec.Struct, frozen=True):
    """All topics of one installation; iterate to get each `Topic`."""

    calls: Topic
    agents: Topic
    reference: Topic
    deltas: Topic
    dead_letters: Topic
    metrics: Topic
    leaderboards: Topic
    alerts: Topic
    contacts: Topic
    contacts_changelog: Topic
    agents_changelog: Topic
    reference_changelog: Topic
    panes_changelog: Topic
    ingest_positions: Topic

    def __iter__(self) -> Iterator[Topic]:
        """In the order of the data: events, deltas, outputs, changelogs."""
        return (getattr(self, name) for name in self.__struct_fields__)


def topics(prefix: str = "cc", calls: int = 4, agents: int = 2, board: int = 4) -> Topics:
    """The topics under a prefix, with the partitions of the floor's two tables and of the board.

    A changelog has as many partitions as the topic whose shards write it.
    """

    def topic(name: str, partitions: int, config: Mapping[str, str], key: str, doc: str) -> Topic:
        return Topic(f"{prefix}.{name}.v1", partitions, config, key, doc)

    kept_7_days = {**_UPSERTS, "cleanup.policy": "compact,delete", "retention.ms": str(7 * _DAY_MS)}
    letters = {"cleanup.policy": "delete", "retention.ms": str(14 * _DAY_MS)}
    # The board's position lies in its own changelog: deltas only bridge the time it may be away.
    deltas = {"cleanup.policy": "delete", "retention.ms": str(_DAY_MS), "segment.ms": str(_HOUR_MS)}
    by_key = "as in the table"
    return Topics(
        calls=topic("calls", calls, _EVENTS, "contact_id", "events of contacts"),
        agents=topic("agents", agents, _EVENTS, "agent_id", "events of agents"),
        reference=topic("reference", 1, _UPSERTS, "kind/entity", "rosters and queue settings"),
        deltas=topic("deltas", board, deltas, "none", "changes of contributions, floor to board"),
        dead_letters=topic(
            "dead-letters", 1, letters, "topic/partition/offset", "records that were not counted"
        ),
        metrics=topic("metrics", board, _UPSERTS, "entity and window", "current metrics"),
        leaderboards=topic("leaderboards", board, _UPSERTS, "board", "current rankings"),
        alerts=topic("alerts", board, kept_7_days, "alert id", "alerts, raised and cleared"),
        contacts=topic("contacts", calls, kept_7_days, "tenant/contact_id", "finished contacts"),
        contacts_changelog=topic(
            "contacts-changelog", calls, _CHANGELOG, by_key, "contact logs and position"
        ),
        agents_changelog=topic(
            "agents-changelog", agents, _CHANGELOG, by_key, "agent timelines and position"
        ),
        reference_changelog=topic(
            "reference-changelog", 1, _CHANGELOG, by_key, "what was copied into the event topics"
        ),
        panes_changelog=topic("panes-changelog", board, _CHANGELOG, by_key, "panes and position"),
        ingest_positions=topic(
            "ingest-positions", 1, _CHANGELOG, "source and file", "how far files were read"
        ),
    )


class Finding(msgspec.Struct, frozen=True):
    """One difference between a topic on the broker and how it has to be."""

    topic: str
    what: str
    """`missing`, `partitions`, or the name of a configuration entry."""
    expected: str
    found: str

    def __str__(self) -> str:
        """One line for `doctor` and for a worker that refuses to start."""
        if self.what == "missing":
            return f"topic {self.topic} is missing"
        return f"topic {self.topic}: {self.what} is {self.found}, expected {self.expected}"


async def provision(
    bootstrap: str,
    wanted: Iterable[Topic],
    *,
    replication: int = -1,
    security: Mapping[str, Any] | None = None,
) -> list[str]:
    """Make the topics that are not there and return their names; leave the others as they are.

    Args:
        bootstrap: `host:port`, several apart by commas.
        wanted: the topics.
        replication: copies of each partition; -1 is the broker's own default.
        security: aiokafka's client options beside the address (`Settings.kafka_security`).

    Raises:
        TopicError: no broker answers, or a topic was refused.
    """
    async with _admin(bootstrap, security) as admin:
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if missing:
            await _create(admin, missing, replication)
    return [topic.name for topic in missing]


async def _create(admin: AIOKafkaAdminClient, missing: list[Topic], replication: int) -> None:
    """Make topics and wait until they are seen: a broker answers before it knows them itself."""
    # aiokafka takes a replication of -1 only beside an assignment, which may be empty.
    assignment: dict[int, list[int]] | None = {} if replication == -1 else None
    made = [NewTopic(t.name, t.partitions, replication, assignment, t.config) for t in missing]
    for name, code, *message in (await admin.create_topics(made)).topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            reason = next(filter(None, message), error.__name__)
            raise TopicError(f"topic {name} could not be made: {reason}")
    names = {topic.name for topic in missing}
    async with asyncio.timeout(_VISIBLE_SECONDS):
        while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(_POLL_SECONDS)


async def check(
    bootstrap: str, wanted: Topics, *, security: Mapping[str, Any] | None = None
) -> list[Finding]:
    """How the topics on the broker differ from `wanted`; empty if a worker may start.

    Looks at existence, partitions, `cleanup.policy` and `message.timestamp.type`.

    Raises:
        TopicError: no broker answers.
    """
    async with _admin(bootstrap, security) as admin:
        # All topics, because a broker may create a topic that is asked for by name.
        present = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
        known = [topic.name for topic in wanted if topic.name in present]
        configs = await _configs(admin, known)
    findings = []
    for topic in wanted:
        if topic.name not in present:
            findings.append(Finding(topic.name, "missing", "a topic", "missing"))
        else:
            findings += _differences(topic, present[topic.name], configs[topic.name])
    return findings


def _differences(topic: Topic, partitions: int, config: Mapping[str, str]) -> list[Finding]:
    findings = []
    if partitions != topic.partitions:
        findings.append(Finding(topic.name, "partitions", str(topic.partitions), str(partitions)))
    for entry in _CHECKED:
        expected, found = topic.config.get(entry), config.get(entry, "unknown")
        if expected is not None and set(expected.split(",")) != set(found.split(",")):
            findings.append(Finding(topic.name, entry, expected, found))
    return findings


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answers = await admin.describe_configs(asked)
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }


@asynccontextmanager
async def _admin(
    bootstrap: str, security: Mapping[str, Any] | None
) -> "AsyncIterator[AIOKafkaAdminClient]":
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **(security or {}))
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise TopicError(f"Kafka at {bootstrap}: {error or type(error).__name__}") from error
    finally:
        await admin.close()

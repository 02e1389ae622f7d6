"""Puts the parts together: settings in, a Faust app out. No globals: each call is a fresh app."""

from collections.abc import Sequence

from aiokafka import TopicPartition
from msgspec import Struct

from cc_stream.config import Settings
from cc_stream.installation import limits_of, topics_of
from cc_stream.sinks.sink import Sink
from cc_stream.telemetry import Telemetry
from cc_stream.topics import Topics
from streams.board import Board, BoardPlan, board_plan
from streams.broker import Broker
from streams.cluster import Cluster
from streams.driver import App, GroupSettings, create_app
from streams.floor import Agents, Calls, Copy, Plan
from streams.owner import Owner, now_ms
from streams.publish import Publisher, Ticks
from streams.shard import Shard
from streams.watchdog import Watchdog


class Parts(Struct, frozen=True):
    """A worker's parts, for whoever starts and stops it."""

    app: App
    owner: Owner
    publisher: Publisher


def create_worker(settings: Settings, sinks: Sequence[Sink], telemetry: Telemetry) -> Parts:
    """The worker's parts: both stages, the copy of reference data, and the publisher."""
    wanted = topics_of(settings)
    group = GroupSettings(
        settings.app_id,
        settings.broker,
        settings.session_seconds,
        settings.instance_id,
        settings.kafka_security(),
    )
    timeout_ms = round(max(settings.session_seconds, 10.0) * 1_000)
    broker = Broker(group.bootstrap, group.app_id, timeout_ms, group.security)
    plan = Plan(wanted, limits_of(settings), telemetry)
    of_boards = board_plan(settings, wanted)

    def make(tp: TopicPartition) -> Shard:
        changelog, stage = _stage(tp, wanted, plan, of_boards)
        return Shard(broker, tp, changelog, stage, telemetry)

    flush_seconds = {
        "calls": settings.flush_seconds,
        "agents": max(settings.flush_seconds, settings.agent_tick_seconds / 2),
        "reference": settings.flush_seconds,
        "board": min(settings.flush_seconds, settings.board_commit_seconds),
    }
    owner = Owner(make, group.heartbeat_seconds, flush_seconds, telemetry.dropped)
    cluster = Cluster(broker, [topic.name for topic in wanted], telemetry.cluster)
    owner.is_away = lambda: cluster.is_away
    cluster.returned = owner.settle
    ticks = Ticks(settings.tick_seconds, settings.agent_tick_seconds)
    publisher = Publisher(owner, sinks, ticks, telemetry.event_to_board)
    sources = (wanted.calls, wanted.agents, wanted.reference, wanted.deltas)

    async def watchdog() -> None:
        await Watchdog(owner, cluster, settings.stall_seconds, telemetry.stalled).watch()

    tasks = (
        owner.flush_loop,
        publisher.publish_loop,
        publisher.publish_agents_loop,
        cluster.look_loop,
        watchdog,
    )
    app = create_app(group, owner, sources, tasks, publisher.close, telemetry)
    return Parts(app, owner, publisher)


def _stage(
    tp: TopicPartition, wanted: Topics, plan: Plan, of_boards: BoardPlan
) -> tuple[str, Calls | Agents | Copy | Board]:
    """The changelog and a new stage for a source partition."""
    if tp.topic == wanted.calls.name:
        return wanted.contacts_changelog.name, Calls(plan, tp.partition)
    if tp.topic == wanted.agents.name:
        return wanted.agents_changelog.name, Agents(plan, tp.partition)
    if tp.topic == wanted.reference.name:
        return wanted.reference_changelog.name, Copy(plan, tp.partition)
    if tp.topic == wanted.deltas.name:
        return wanted.panes_changelog.name, Board(of_boards, tp.partition, now_ms())
    message = f"no stage reads {tp.topic}"
    raise ValueError(message)

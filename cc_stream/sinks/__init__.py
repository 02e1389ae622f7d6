"""Sinks: where views leave to. A new sink is one file and one line here."""

from collections.abc import Callable
from typing import Final

from cc_stream.config import Settings
from cc_stream.sinks.prometheus import PrometheusSink
from cc_stream.sinks.redis import RedisSink, connect
from cc_stream.sinks.redis_reader import RedisReader
from cc_stream.sinks.sink import Sink
from cc_stream.telemetry import Telemetry


def _prometheus(settings: Settings, telemetry: Telemetry) -> Sink:
    return PrometheusSink(telemetry.registry, agent_labels=settings.agent_labels)


def _redis(settings: Settings, telemetry: Telemetry) -> Sink:
    client = connect(settings.redis.get_secret_value())
    return RedisSink(client, settings.topic_prefix, telemetry=telemetry)


SINKS: Final[tuple[Callable[[Settings, Telemetry], Sink], ...]] = (_prometheus, _redis)


def open_sinks(settings: Settings, telemetry: Telemetry) -> tuple[Sink, ...]:
    """All sinks; nothing is connected yet."""
    return tuple(make(settings, telemetry) for make in SINKS)


def open_reader(settings: Settings) -> RedisReader:
    """A reader of what the sinks of the same settings write; nothing is connected yet."""
    return RedisReader(connect(settings.redis.get_secret_value()), settings.topic_prefix)

"""The reference data of a simulated floor: roster, queue settings, targets and schedules."""

from collections.abc import Iterator
from typing import Final

import orjson

from cc_stream.events import DEFAULT_TENANT, to_rfc3339
from cc_stream.simulate.outbox import Arrival
from cc_stream.simulate.people import people_of
from cc_stream.simulate.plan import QueuePlan, SimulationSettings, run_name

VALID_BEFORE_MS: Final = 86_400_000
"""Valid since a day before the start, so that no event of the floor is older."""
LEAST_WAITING_ALERT: Final = 3
KINDS: Final = {
    "roster.updated": "agent",
    "queue.configured": "queue",
    "target.set": "target",
    "schedule.set": "schedule",
}
SHIFT_HOURS: Final = (("early", 6, 14), ("late", 14, 22), ("night", 22, 6))


def reference(settings: SimulationSettings, from_ms: int) -> Iterator[Arrival]:
    """One record per agent, queue, team target and team shift; all happen at `from_ms` (UTC).

    The Kafka key is `kind/entity` (`agent/…`, `queue/…`, `target/…`, `schedule/…`; of another than
    the default tenant `tenant/kind/entity`). No two of them share one: the topic is compacted.
    """
    run = run_name(settings, from_ms)
    for number, (told, entity, fields) in enumerate(_facts(settings)):
        event = {
            "specversion": "1.0",
            "id": f"{run}-ref-{number:x}",
            "source": settings.source,
            "type": f"cc.{told}.v1",
            "time": to_rfc3339(from_ms),
            "data": {
                "entity": entity,
                "valid_from": to_rfc3339(from_ms - VALID_BEFORE_MS),
                "fields": fields,
            },
        }
        key = f"{KINDS[told]}/{entity}"
        if settings.tenant != DEFAULT_TENANT:
            event["tenant"] = settings.tenant
            key = f"{settings.tenant}/{key}"
        yield Arrival(from_ms, "reference", key.encode(), orjson.dumps(event))


def _facts(settings: SimulationSettings) -> Iterator[tuple[str, str, dict[str, object]]]:
    for queue in settings.queues:
        yield "queue.configured", queue.name, _queue_fields(queue, settings)
    for team in settings.teams:
        target = {"conversion": 0.2, "handle_time_band_seconds": [120, 420]}
        yield "target.set", team, target
        for shift, start, end in SHIFT_HOURS:
            hours = {"start": f"{start:02d}:00", "end": f"{end:02d}:00"}
            yield "schedule.set", f"{team}/{shift}", {**hours, "timezone": settings.timezone}
    names = [queue.name for queue in settings.queues]
    for person in people_of(settings):
        queues = [names[index] for index in person.queues]
        yield (
            "roster.updated",
            person.id,
            {
                "team": person.team,
                "name": person.name,
                "queues": queues,
            },
        )


def _queue_fields(queue: QueuePlan, settings: SimulationSettings) -> dict[str, object]:
    waiting = max(LEAST_WAITING_ALERT, round(queue.alert_waiting * queue.share * settings.seats))
    return {
        "service_level_seconds": queue.service_level_seconds,
        "short_abandon_seconds": 5,
        "service_level_formula": "abandons_negative",
        "max_wait_seconds": queue.max_wait_seconds,
        "wrap_limit_seconds": round(queue.wrap_seconds * 2),
        "timezone": settings.timezone,
        "alerts": {
            "waiting_now": waiting,
            "longest_wait_seconds": queue.alert_wait_seconds,
            "service_level_live": 0.6,
            "minimum_sample": 20,
        },
    }

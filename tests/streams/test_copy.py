"""Reference data is copied as it is: in binary mode the headers are half of the event."""

from cc_stream.contracts import decode_one
from cc_stream.events import RosterUpdated
from tests.streams.kafka import Kept
from tests.streams.topology import World

NOW_MS = 1_795_500_000_000


def test_a_record_in_binary_mode_is_copied_with_its_headers() -> None:
    world = World(NOW_MS)
    names = {"id": "1", "source": "/crm", "type": "cc.roster.updated.v1", "specversion": "1.0"}
    names["time"] = "2026-11-22T08:00:00Z"
    headers = tuple((f"ce_{name}", value.encode()) for name, value in names.items())
    value = b'{"entity": "ann", "valid_from": "2026-11-22T08:00:00Z", "fields": {"team": "north"}}'
    stage = world.stage(world.topics.reference.name, 0)
    stage.apply([Kept(world.topics.reference.name, 0, 0, NOW_MS, b"ann", value, headers)])
    writes = stage.cut(NOW_MS).writes
    assert len(writes) == world.topics.calls.partitions + world.topics.agents.partitions
    for write in writes:
        event, _ = decode_one(write.value, write.headers)
        assert isinstance(event, RosterUpdated)

"""What the driver relies on in Faust and aiokafka, private names included."""

import importlib

import pytest
from faust.types import TP

from streams.driver import HOOKS, Chunk, _ChunkScheduler


@pytest.mark.parametrize("of", sorted(HOOKS))
def test_hooks_are_there(of: str) -> None:
    module, _, name = of.rpartition(".")
    owner = getattr(importlib.import_module(module), name)
    for hook in HOOKS[of]:
        assert hasattr(owner, hook) or hook in owner.__annotations__, hook


class Fetched:
    """A consumed record, as far as a chunk reads it."""

    topic, partition, timestamp, timestamp_type = "calls", 0, 0, 1

    def __init__(self, offset: int) -> None:
        self.offset = offset


def test_a_fetch_is_one_chunk_that_names_the_end_of_the_fetch_before() -> None:
    scheduler = _ChunkScheduler()
    place = ("calls", 0)

    tp = TP(*place)
    first = [Fetched(5), Fetched(6)]
    [(_, chunk)] = scheduler.iterate({tp: first})
    assert isinstance(chunk, Chunk)
    assert chunk.value == (first, None)
    assert chunk.offset == 6
    [(_, chunk)] = scheduler.iterate({tp: [Fetched(8)]})
    assert chunk.value[1] == 6

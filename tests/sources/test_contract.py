"""What every source obeys: a pure fold that never raises and can be saved at any line."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_stream.contracts import decode_one, encode
from cc_stream.dead_letters import RULE_IDS
from cc_stream.sources import SOURCES
from cc_stream.sources.source import AnySource, Folded, Options

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def payloads_of(source: AnySource) -> list[bytes]:
    """The source's own example: `schemas/examples/<name with underscores>/*.log`."""
    folder = EXAMPLES / source.name.replace("-", "_")
    lines = [
        line for file in sorted(folder.glob("*.log")) for line in file.read_bytes().split(b"\n")
    ]
    assert lines, f"no examples in {folder}"
    return lines


def run(source: AnySource, payloads: list[bytes]) -> Folded[Any]:
    """From the start, in one batch."""
    return source.fold(source.start(), payloads, Options(source.default_source))


every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


@every_source
def test_the_same_payloads_give_the_same_events(source: AnySource) -> None:
    first, second = run(source, payloads_of(source)), run(source, payloads_of(source))
    assert first == second
    assert first.events
    assert not first.refused


@every_source
def test_ids_are_unique_but_for_revisions(source: AnySource) -> None:
    events = run(source, payloads_of(source)).events
    assert len({(event.id, event.revision) for event in events}) == len(events)


@every_source
def test_every_event_passes_the_contract(source: AnySource) -> None:
    for event in run(source, payloads_of(source)).events:
        assert decode_one(encode(event)) == (event, 0)


@every_source
def test_any_cut_with_the_state_saved_gives_the_same(source: AnySource) -> None:
    payloads, options = payloads_of(source), Options(source.default_source)
    whole = run(source, payloads)
    for length in (1, 2, 7):
        state: Any = source.start()
        events: list[Any] = []
        for start in range(0, len(payloads), length):
            folded = source.fold(state, payloads[start : start + length], options)
            events += folded.events
            state = source.load(source.dump(folded.state))
        assert events == list(whole.events)
        assert state == whole.state


@every_source
def test_a_state_that_was_given_is_not_changed(source: AnySource) -> None:
    payloads, options = payloads_of(source), Options(source.default_source)
    half = len(payloads) // 2
    state = source.fold(source.start(), payloads[:half], options).state
    before = source.dump(state)
    source.fold(state, payloads[half:], options)
    source.flush(state, options, None)
    assert source.dump(state) == before


def mutated(line: bytes, rng: random.Random) -> bytes:
    """A line with something cut, put in or exchanged."""
    at, other = sorted((rng.randrange(len(line) + 1), rng.randrange(len(line) + 1)))
    junk = rng.choice([b"", b"|", b"\xff", b"-1", b"9" * 30, b"NONE", b"\x00", b"||||", b"\r"])
    return line[:at] + junk + line[rng.choice([at, other]) :]


@every_source
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), junk=st.lists(st.binary(max_size=80), max_size=5))
def test_nothing_makes_it_raise_and_nothing_is_lost(
    source: AnySource, seed: int, junk: list[bytes]
) -> None:
    rng = random.Random(seed)
    lines = rng.sample(payloads_of(source), 25)
    payloads = [mutated(line, rng) if rng.random() < 0.7 else line for line in lines] + junk
    folded = run(source, payloads)
    for refusal in folded.refused:
        assert refusal.payload == payloads[refusal.index]
        assert refusal.why.rule in RULE_IDS
    for event in folded.events:
        assert decode_one(encode(event)) == (event, 0)
    assert source.load(source.dump(folded.state)) == folded.state
    source.flush(folded.state, Options(source.default_source), None)

"""Views: figures of one entity, ready to be shown.

A window view holds what is read from a window, a live view what is read from the moment. Each names
its window and the moment `as_of` that it was read at: the same vectors at the same moment give the
same view, on the stream and in the batch report.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from cc_stream.counts import Parts, Vector, add_into, join, parts
from cc_stream.metrics import READINGS, SLOTS
from cc_stream.metrics.metric import OF_ALL, Figures, Value
from cc_stream.panes import Window
from cc_stream.reference import DEFAULT_TERMS, Terms

KINDS: Final = ("agent", "team", "queue", "campaign", "floor")
FLOOR_ID: Final = "floor"

_WINDOW_READINGS: Final = {
    kind: tuple((r.name, r.read) for r in READINGS if kind in r.kinds and not r.live)
    for kind in OF_ALL
}
_LIVE_READINGS: Final = {
    kind: tuple((r.name, r.read) for r in READINGS if kind in r.kinds and r.live) for kind in OF_ALL
}
_BY_NAME: Final = {slot.name: slot for slot in SLOTS.values()}


class Entity(Struct, frozen=True, order=True):
    """What a view is of. `team` is an agent's team: who works for two has a view in each."""

    tenant: str
    kind: str
    id: str
    team: str | None = None


LIVE_VIEW: Final = "live"
"""The name of the view that belongs to the moment, beside the windows' names."""


class View(Struct, frozen=True):
    """Figures of one entity over one window (or `live`), as they are shown.

    `order` grows with what the figures are made of: (generation, deltas offset, as_of), written so
    that texts compare like it; a sink never lets a lower one win. `part`: the floor is shown in one
    part a board shard, to be added by `vector`. `vector` is `named(...)`: present for the floor's
    parts always, for queues and teams when everything is rewritten. `start_ms`, `end_ms` are None
    for a live view. `data_as_of_ms` is the latest event time that went in.
    """

    entity: Entity
    window: str
    start_ms: int | None
    end_ms: int | None
    as_of_ms: int
    data_as_of_ms: int
    order: str
    metrics: dict[str, Value]
    vector: dict[str, Any] | None = None
    live_vector: dict[str, Any] | None = None
    part: int | None = None


def order_of(generation_ms: int, offset: int, as_of_ms: int) -> str:
    """The order of a view as text of fixed width."""
    return f"{generation_ms:015d}-{offset:019d}-{as_of_ms:015d}"


def figures(
    kind: str,
    window: Window,
    as_of_ms: int,
    vector: Mapping[int, int],
    live: Mapping[int, int],
    terms: Terms = DEFAULT_TERMS,
) -> Figures:
    """What the readings look at, from the sum over a window and the sum of what is open."""
    return Figures(kind, window, as_of_ms, parts(vector), parts(live), terms)


def figures_beside(of: Figures, window: Window, window_parts: Parts) -> Figures:
    """The figures of the same entity and moment over another window."""
    return Figures(
        of.kind, window, of.as_of_ms, window_parts, of.live_parts, of.terms, of.live_memo
    )


def window_metrics(of: Figures) -> dict[str, Value]:
    """Every window figure of the kind, by name; an absent denominator is None."""
    return {name: read(of) for name, read in _WINDOW_READINGS[of.kind]}


def live_metrics(of: Figures) -> dict[str, Value]:
    """Every live figure of the kind, by name."""
    return {name: read(of) for name, read in _LIVE_READINGS[of.kind]}


def named(vector: Mapping[int, int]) -> dict[str, Any]:
    """A vector with the names of its slots: `{"offered": 3, "wait_answered_seconds": {"17": 1}}`.

    Readers add these across entities and apply another threshold; slots that do not add up are
    left out.
    """
    return named_parts(parts(vector))


def named_parts(split: Parts) -> dict[str, Any]:
    """`named` of a vector that is taken apart."""
    out: dict[str, Any] = {}
    for number, buckets in sorted(split.items()):
        slot = SLOTS[number]
        if not slot.adds_up:
            continue
        if set(buckets) == {0} and not slot.labels:
            out[slot.name] = buckets[0]
        else:
            out[slot.name] = {str(bucket): n for bucket, n in sorted(buckets.items())}
    return out


def unnamed(named_vector: Mapping[str, Any]) -> Vector:
    """The inverse of `named`; KeyError for a name that is no slot."""
    split: Parts = {}
    for name, value in named_vector.items():
        if isinstance(value, dict):
            split[_BY_NAME[name].number] = {int(bucket): n for bucket, n in value.items()}
        else:
            split[_BY_NAME[name].number] = {0: value}
    return join(split)


def merged(named_vectors: list[Mapping[str, Any]]) -> Vector:
    """The sum of named vectors, as of the parts of the floor."""
    total: Vector = {}
    for one in named_vectors:
        add_into(total, unnamed(one))
    return total

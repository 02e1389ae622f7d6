"""Every stored pane against the report's sum, and every pane of the report stored."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from cc_stream.counts import Vector
from cc_stream.panes import COARSE_MS, FINE_MS, Window
from cc_stream.report.book import Book
from cc_stream.view import Entity
from cc_stream.windows import COARSE_KEPT_MS, FINE_KEPT
from streams.stage import POSITION_KEY

Place = tuple[Entity, str, int]
"""(row, resolution, pane); what is open lies in pane 0 of `live`."""
LENGTHS = {"fine": FINE_MS, "coarse": COARSE_MS}
KEPT_MS = {"fine": FINE_KEPT * FINE_MS, "coarse": COARSE_KEPT_MS}


def stored_panes(stored: Mapping[bytes, bytes]) -> dict[Place, Vector]:
    """The panes in the last values of a board's changelog."""
    panes: dict[Place, Vector] = {}
    for key, value in stored.items():
        if key == POSITION_KEY:
            continue
        kind, *names = msgspec.msgpack.decode(key)
        if kind == b"p":
            flat = msgspec.msgpack.decode(value)
            vector = dict(zip(flat[::2], flat[1::2], strict=True))
            panes[Entity(*names[:4]), names[4], names[5]] = vector
    return panes


def now_of(values: Iterable[bytes]) -> int:
    """The earliest clock of the boards, out of their positions."""
    return min(int(msgspec.msgpack.decode(value)["memory"]["now_ms"]) for value in values)


def reported_panes(book: Book, now_ms: int) -> dict[Place, Vector]:
    """The panes that the report has and a board keeps at `now`."""
    panes: dict[Place, Vector] = {}
    for kind in ("queue", "campaign", "agent"):
        for entity in book.of_kind(kind):
            live = book.live(entity)
            if live:
                panes[entity, "live", 0] = live
            for resolution in LENGTHS:
                for pane, window in _windows(book, entity, resolution):
                    vector = book.sum(entity, window)
                    first_ms = -(-now_ms // FINE_MS) * FINE_MS - KEPT_MS[resolution]
                    if vector and window.end_ms > first_ms:
                        panes[entity, resolution, pane] = vector
    return panes


def _windows(book: Book, entity: Entity, resolution: str) -> Iterator[tuple[int, Window]]:
    """The panes in which anything happened to an entity."""
    length = LENGTHS[resolution]
    panes = {ms // length for ms in book.moments_of(entity)}
    for time_in in book.times_of(entity):
        panes |= set(range(time_in.start // length, -(-time_in.end // length)))
    for pane in panes:
        yield pane, Window(pane * length, (pane + 1) * length)

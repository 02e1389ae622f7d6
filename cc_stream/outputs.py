"""Output records: what leaves on the topics for others, as JSON (`schemas/outputs`).

Every record is an upsert by its key: absolute, with the window that it is of, the moment `as_of`
that it was read at and its order, so that a reader may keep the latest and forget the rest. Moments
are RFC 3339 in UTC with milliseconds. The functions `…_of` are their inverses.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson
from msgspec import convert
from msgspec.structs import asdict

from cc_stream.alerts.engine import Alert
from cc_stream.events import to_ms, to_rfc3339
from cc_stream.leaderboard import Leaderboard, Standing
from cc_stream.view import Entity, View

written = lru_cache(4096)(to_rfc3339)
"""`to_rfc3339`, remembered: the views of a tick share their moments."""

_ALERT_MOMENTS = ("since", "raised_at", "updated_at", "cleared_at")


@lru_cache(1 << 16)
def escaped(text: str) -> str:
    """A name as one component of a key: all but letters, digits and `_.-~` percent-encoded.

    Remembered: the same names are shown again and again.
    """
    return quote(text, safe="")


def view_name(view: View) -> str:
    """`tenant/kind/[team/]id/window`; a part of the floor is `tenant/floor/PART/window`."""
    entity = view.entity
    names = [entity.tenant, entity.kind]
    if entity.kind == "agent":
        names.append(entity.team or "")
    names.append(entity.id if view.part is None else str(view.part))
    return "/".join(escaped(name) for name in (*names, view.window))


def board_name(board: Leaderboard) -> str:
    """`tenant/scope/scope id/board/window`, and `/PART` for a part of the floor."""
    names = [board.tenant, board.scope, board.scope_id, board.name, board.window]
    if board.part is not None:
        names.append(str(board.part))
    return "/".join(escaped(name) for name in names)


def view_record(view: View) -> tuple[bytes, bytes]:
    """Key and value for the metrics topic."""
    entity = view.entity
    value = {
        "tenant": entity.tenant,
        "kind": entity.kind,
        "id": entity.id,
        "team": entity.team,
        "part": view.part,
        "window": window_value(view.window, view.start_ms, view.end_ms),
        "as_of": written(view.as_of_ms),
        "data_as_of": written(view.data_as_of_ms),
        "order": view.order,
        "metrics": view.metrics,
    }
    if view.vector is not None or view.live_vector is not None:
        value |= {"vector": view.vector, "live_vector": view.live_vector}
    return view_name(view).encode(), orjson.dumps(value)


def view_of(value: bytes) -> View:
    """The view in a value that `view_record` made; ValueError or KeyError for anything else."""
    read = orjson.loads(value)
    window = read["window"]
    return View(
        Entity(read["tenant"], read["kind"], read["id"], read["team"]),
        window["name"],
        moment_ms(window["start"]),
        moment_ms(window["end"]),
        to_ms(datetime.fromisoformat(read["as_of"])),
        to_ms(datetime.fromisoformat(read["data_as_of"])),
        read["order"],
        read["metrics"],
        read.get("vector"),
        read.get("live_vector"),
        read["part"],
    )


def board_record(board: Leaderboard) -> tuple[bytes, bytes]:
    """Key and value for the leaderboards topic."""
    value = board_head(board) | {"standings": [asdict(row) for row in board.standings]}
    return board_name(board).encode(), orjson.dumps(value)


def board_head(board: Leaderboard) -> dict[str, Any]:
    """A board without its rows."""
    return {
        "tenant": board.tenant,
        "scope": board.scope,
        "scope_id": board.scope_id,
        "name": board.name,
        "part": board.part,
        "window": window_value(board.window, board.start_ms, board.end_ms),
        "as_of": written(board.as_of_ms),
        "data_as_of": written(board.data_as_of_ms),
        "order": board.order,
    }


def board_of(head: Mapping[str, Any], rows: list[Any]) -> Leaderboard:
    """The board of a parsed head (`board_head`) and parsed rows; KeyError, ValidationError."""
    window = head["window"]
    return Leaderboard(
        head["tenant"],
        head["scope"],
        head["scope_id"],
        head["name"],
        window["name"],
        to_ms(datetime.fromisoformat(window["start"])),
        to_ms(datetime.fromisoformat(window["end"])),
        to_ms(datetime.fromisoformat(head["as_of"])),
        to_ms(datetime.fromisoformat(head["data_as_of"])),
        head["order"],
        convert(rows, tuple[Standing, ...]),
        head["part"],
    )


def alert_record(alert: Alert) -> tuple[bytes, bytes]:
    """Key and value for the alerts topic. The same alert has the same key from raise to clear."""
    fields = asdict(alert)
    moments = {name: _written_or_none(fields.pop(f"{name}_ms")) for name in _ALERT_MOMENTS}
    status = "active" if alert.is_active else "cleared"
    return alert.id.encode(), orjson.dumps(fields | moments | {"status": status})


def alert_of(value: bytes) -> Alert:
    """The alert in a value that `alert_record` made; KeyError, ValidationError for another."""
    read = orjson.loads(value)
    moments = {f"{name}_ms": moment_ms(read[name]) for name in _ALERT_MOMENTS}
    return convert(read | moments, Alert)


def window_value(name: str, start_ms: int | None, end_ms: int | None) -> dict[str, str | None]:
    """A window as it is written; a live view has neither start nor end."""
    return {"name": name, "start": _written_or_none(start_ms), "end": _written_or_none(end_ms)}


def moment_ms(text: str | None) -> int | None:
    """The inverse of `to_rfc3339`."""
    return None if text is None else to_ms(datetime.fromisoformat(text))


def _written_or_none(ms: int | None) -> str | None:
    return None if ms is None else written(ms)

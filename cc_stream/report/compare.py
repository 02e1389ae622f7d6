"""What is live against the report: every value of every view, for its own window and moment.

Equality is exact, there is no tolerance. A view that should be there and is not differs, and so
does one that should not be there unless it counts nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from cc_stream.contact_log import Contact
from cc_stream.contact_record import contact_record
from cc_stream.counts import BUCKET_BITS, Vector
from cc_stream.leaderboard import BY_NAME, Candidate, Leaderboard, standings
from cc_stream.metrics import SLOTS
from cc_stream.panes import Window
from cc_stream.report.book import Book
from cc_stream.report.collect import Collected
from cc_stream.report.oracle import Oracle, Rules
from cc_stream.segment import place
from cc_stream.view import LIVE_VIEW, Entity, View, figures, merged

KINDS_COMPARED: Final = ("windows", "live", "contacts", "leaderboards")
SHOWN: Final = 20
NOT_THERE: Final = "not there"


class Difference(Struct, frozen=True):
    """One value that differs; `what` is one of KINDS_COMPARED."""

    what: str
    key: str
    name: str
    live: Any
    report: Any

    def __str__(self) -> str:
        """One line."""
        return f"{self.what} {self.key} {self.name}: live {self.live!r}, report {self.report!r}"


class Comparison(Struct):
    """What was compared, by kind, and what differs."""

    compared: dict[str, int]
    differ: list[Difference]

    @property
    def is_proof(self) -> bool:
        """Nothing differs, and there were windows, live values and contacts to compare."""
        needed = (self.compared[kind] for kind in ("windows", "live", "contacts"))
        return not self.differ and all(needed)

    def value(self, what: str, key: str, name: str, live: object, expected: object) -> None:
        """Compare one value."""
        self.compared[what] += 1
        if live != expected:
            self.differ.append(Difference(what, key, name, live, expected))

    def fault(self, what: str, key: str, live: str, expected: str) -> None:
        """Note a whole view or record that differs."""
        self.differ.append(Difference(what, key, "", live, expected))

    def text(self) -> str:
        """`live = report: N values compared, D differ`, a line a kind, the first differences."""
        total = sum(self.compared.values())
        lines = [f"live = report: {total} values compared, {len(self.differ)} differ"]
        for kind, n in self.compared.items():
            differ = sum(difference.what == kind for difference in self.differ)
            lines.append(f"  {kind}: {n} compared, {differ} differ")
        lines += [f"  {difference}" for difference in self.differ[:SHOWN]]
        if len(self.differ) > SHOWN:
            lines.append(f"  … and {len(self.differ) - SHOWN} more")
        return "\n".join(lines)


def compare(
    collected: Collected,
    views: Sequence[View],
    contacts: Mapping[str, Mapping[str, Any]],
    leaderboards: Sequence[Leaderboard] = (),
    rules: Rules | None = None,
) -> Comparison:
    """Hold what is live against the report over the same topics.

    Args:
        collected: the logs of the topics.
        views: all views of all tenants; those in parts (the floor's) with their vectors.
        contacts: the last value of each key of the contacts topic.
        leaderboards: whole boards; the floor's put together of their parts.
        rules: the installation's.
    """
    found = Comparison(dict.fromkeys(KINDS_COMPARED, 0), [])
    oracle = Oracle(collected, rules or Rules())
    _compare_views(found, oracle, views)
    _compare_contacts(found, collected, contacts)
    _compare_leaderboards(found, oracle, leaderboards)
    return found


def _compare_views(found: Comparison, oracle: Oracle, views: Sequence[View]) -> None:
    groups: dict[tuple[Entity, str], list[View]] = {}
    for view in views:
        groups.setdefault((view.entity, view.window), []).append(view)
    for (entity, name), parts in sorted(groups.items()):
        what, key = _what(name), _key(entity, name)
        fault = _parts_fault(parts)
        if fault is not None:
            found.fault(what, key, fault, "one moment")
            continue
        view = parts[0]
        if name != LIVE_VIEW:
            window = oracle.window_of(entity, name, view.as_of_ms)
            found.value(what, key, "window", (view.start_ms, view.end_ms), _edges(window))
        _compare_metrics(found, oracle, parts)
    _find_missing(found, oracle, views, groups.keys())


def _parts_fault(parts: Sequence[View]) -> str | None:
    """Why views of one name cannot be read as one."""
    view = parts[0]
    if view.part is None:
        return None if len(parts) == 1 else "several views of one name"
    moments = {(part.start_ms, part.end_ms, part.as_of_ms) for part in parts}
    if len(moments) > 1:
        return f"parts of {len(moments)} moments"
    if any(part.live_vector is None for part in parts):
        return "a part without its vector"
    return None


def _compare_metrics(found: Comparison, oracle: Oracle, parts: Sequence[View]) -> None:
    view = parts[0]
    what, key = _what(view.window), _key(view.entity, view.window)
    is_live = view.window == LIVE_VIEW
    sums: Vector = {}
    if not is_live:
        window = Window(view.start_ms or 0, view.end_ms or 1)
        sums = oracle.sum(view.entity, window)
    live = oracle.book.live(view.entity)
    expected = oracle.metrics(view, sums, live)
    shown = view.metrics
    if view.part is not None:
        live_merged = merged([part.live_vector or {} for part in parts])
        merged_sums = merged([part.vector or {} for part in parts])
        found.value(what, key, "vector", merged_sums, adding(sums))
        found.value(what, key, "live_vector", live_merged, adding(live))
        shown = oracle.metrics(view, merged_sums, live_merged)
    for name in expected.keys() | shown.keys():
        live_value, value = shown.get(name, NOT_THERE), expected.get(name, NOT_THERE)
        found.value(what, key, name, live_value, value)


def _find_missing(
    found: Comparison, oracle: Oracle, views: Sequence[View], there: Iterable[tuple[Entity, str]]
) -> None:
    """Entities of which the report knows something and nothing is shown."""
    shown = set(there)
    as_of_ms = max((view.as_of_ms for view in views), default=0)
    names: dict[str, set[str]] = {}
    for entity, name in shown:
        names.setdefault(entity.kind, set()).add(name)
    for entity in sorted(oracle.book.entities):
        live = oracle.book.live(entity)
        for name in sorted(names.get(entity.kind, {LIVE_VIEW})):
            if (entity, name) in shown:
                continue
            counts = name != LIVE_VIEW and oracle.sum(
                entity, oracle.window_of(entity, name, as_of_ms)
            )
            if live or counts:
                found.fault(_what(name), _key(entity, name), NOT_THERE, "counts")


def adding(vector: Vector) -> Vector:
    """What of a vector `named` shows: the slots that add up."""
    return {key: n for key, n in vector.items() if SLOTS[key >> BUCKET_BITS].adds_up}


def _compare_contacts(
    found: Comparison, collected: Collected, contacts: Mapping[str, Mapping[str, Any]]
) -> None:
    expected: dict[str, dict[str, Any]] = {}
    for (tenant, contact_id), one in collected.contacts:
        # Where a contact came again after its log had gone, the later record has the last word.
        again = Contact(one.source, sorted(one.entries, key=place))
        if again.has_closed:
            record = contact_record(tenant, contact_id, again)
            expected[f"{tenant}/{contact_id}"] = to_builtins(record)
    for key in sorted(expected.keys() | contacts.keys()):
        found.compared["contacts"] += 1
        live, report = contacts.get(key), expected.get(key)
        if live is None or report is None:
            shown, known = (NOT_THERE if side is None else "there" for side in (live, report))
            found.fault("contacts", key, shown, known)
            continue
        found.differ += [
            Difference(
                "contacts", key, name, live.get(name, NOT_THERE), report.get(name, NOT_THERE)
            )
            for name in sorted(live.keys() | report.keys())
            if live.get(name, NOT_THERE) != report.get(name, NOT_THERE)
        ]


def _compare_leaderboards(
    found: Comparison, oracle: Oracle, leaderboards: Sequence[Leaderboard]
) -> None:
    size = oracle.rules.leaderboard_size
    scopes = scopes_of(oracle.book)
    there = set()
    for board in leaderboards:
        scope: tuple[str, str, str] = (board.tenant, board.scope, board.scope_id)
        there.add((*scope, board.name, board.window))
        key = "/".join((*scope, board.name, board.window))
        rows = candidates(oracle, board, scopes.get(scope, []))
        expected = standings(BY_NAME[board.name], rows, oracle.rules.minimum_sample)[:size]
        shown = board.standings[:size]
        found.value("leaderboards", key, "rows", len(shown), len(expected))
        for place_in, (live, report) in enumerate(zip(shown, expected, strict=False), start=1):
            found.value("leaderboards", key, f"row {place_in}", live, report)
    for name, window in sorted({(board.name, board.window) for board in leaderboards}):
        for scope in sorted(scopes):
            if (*scope, name, window) not in there:
                key = "/".join((*scope, name, window))
                found.fault("leaderboards", key, NOT_THERE, "counts")


def scopes_of(book: Book) -> dict[tuple[str, str, str], list[Entity]]:
    """(tenant, scope, id) of each board, with its agents."""
    scopes: dict[tuple[str, str, str], list[Entity]] = {}
    for agent in book.of_kind("agent"):
        for scope, name in (("team", agent.team or ""), ("floor", "floor")):
            scopes.setdefault((agent.tenant, scope, name), []).append(agent)
    return scopes


def candidates(oracle: Oracle, board: Leaderboard, agents: Sequence[Entity]) -> list[Candidate]:
    """The report's rows of a board: these agents with their figures over its window."""
    window = Window(board.start_ms, board.end_ms)
    return [
        Candidate(
            agent.id,
            agent.team or "",
            figures(
                "agent",
                window,
                board.as_of_ms,
                oracle.sum(agent, window),
                {},
                oracle.terms(agent, board.as_of_ms),
            ),
        )
        for agent in agents
    ]


def _what(window: str) -> str:
    return "live" if window == LIVE_VIEW else "windows"


def _key(entity: Entity, window: str) -> str:
    team = f" ({entity.team})" if entity.team is not None else ""
    return f"{entity.kind} {entity.tenant}/{entity.id}{team} {window}"


def _edges(window: Window) -> tuple[int, int]:
    return window.start_ms, window.end_ms

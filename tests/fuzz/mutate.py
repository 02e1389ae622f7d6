"""Mutations that know the structure of what they spoil: JSON documents, from examples of them."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from tests.fuzz.junk import DEEPEST, NAMES, RAW, STRINGS, TIMES, junk
from tests.fuzz.wire import duplicated_key, spoiled


class Documents:
    """Mutated JSON documents, from good examples of them mostly, and from bad ones."""

    def __init__(self, good: Sequence[bytes], bad: Sequence[bytes] = ()) -> None:
        self.good = good
        self.examples = [*good, *bad]

    def draw(self, rng: Random) -> bytes:
        """One document with none to several mutations."""
        document = json.loads(rng.choice(self.good if rng.random() < 0.9 else self.examples))
        if rng.random() < 0.8:
            _live(rng, document)
        raw: list[bytes] = []
        for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 1, 2, 3, 6))):
            document = self._mutated(rng, document, raw)
        text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
        value = text.encode(errors="surrogatepass")
        for index, content in enumerate(raw):
            value = value.replace(b'"~raw%d~"' % index, content)
        if rng.random() < 0.1:
            value = duplicated_key(rng, value)
        if rng.random() < 0.1:
            value = spoiled(rng, value, self.examples)
        return value

    def _mutated(self, rng: Random, document: Any, raw: list[bytes]) -> Any:
        places = list(_places(document))
        if not places:
            return junk(rng)
        container, key = rng.choice(places)
        change = rng.choice(_CHANGES)
        if change is _put_raw:
            raw.append(_raw(rng))
            container[key] = f"~raw{len(raw) - 1}~"
        elif change is _graft:
            other = json.loads(rng.choice(self.examples))
            from_, at = rng.choice(list(_places(other)))
            container[key] = from_[at]
        else:
            change(rng, container, key)
        return document


def _live(rng: Random, document: Any) -> None:
    """Make an example one of many events: of its own id and moment, of one of a few contacts."""
    document["id"] = f"id-{rng.randrange(3_000)}"
    second = rng.randrange(600)
    document["time"] = (
        f"2026-11-23T09:{second // 60:02d}:{second % 60:02d}.{rng.randrange(999):03d}Z"
    )
    document.pop("subject", None)
    data = document.get("data")
    if isinstance(data, dict):
        for name, names in _FEW.items():
            if name in data and rng.random() < 0.9:
                data[name] = rng.choice(names)


_FEW: Final = {
    "contact_id": ("c-1", "c-2", "c-3", "c-4", "c-5", "é"),
    "agent_id": ("ann", "bert", "東"),
    "queue": ("sales", "support", "a/b"),
    "entity": ("ann", "bert", "sales", "support", "north"),
    "team": ("north", "south"),
}


def _places(document: Any) -> "list[tuple[Any, Any]]":
    """(container, key or index) of every value inside."""
    places: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        container = todo.pop()
        if isinstance(container, dict):
            keys: Sequence[Any] = list(container)
        elif isinstance(container, list):
            keys = range(len(container))
        else:
            continue
        for key in keys:
            places.append((container, key))
            todo.append(container[key])
    return places


def _raw(rng: Random) -> bytes:
    if rng.random() < 0.8:
        return rng.choice(RAW)
    depth = rng.choice((15, 16, 17, 40, 500, 1_100, DEEPEST))
    begin, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return begin * depth + b"1" + end * rng.choice((depth, depth, depth - 1, 0))


def _remove(_rng: Random, container: Any, key: Any) -> None:
    del container[key]


def _replace(rng: Random, container: Any, key: Any) -> None:
    container[key] = junk(rng)


def _time(rng: Random, container: Any, key: Any) -> None:
    container[key] = rng.choice(TIMES)


def _rename(rng: Random, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice(NAMES)] = container.pop(key)


def _add(rng: Random, container: Any, _key: Any) -> None:
    if isinstance(container, dict):
        container[rng.choice(NAMES)] = junk(rng)
    else:
        container.append(junk(rng))


def _swap(rng: Random, container: Any, key: Any) -> None:
    other = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key], container[other] = container[other], container[key]


def _retype(rng: Random, container: Any, key: Any) -> None:
    value = container[key]
    wrapped: tuple[Any, ...] = ([value], {"a": value}, str(value), [value] * 40, bool(value))
    container[key] = rng.choice(wrapped)


def _nudge(rng: Random, container: Any, key: Any) -> None:
    value = container[key]
    if isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        container[key] = value[:at] + rng.choice(STRINGS) + value[at + rng.randrange(3) :]
    elif isinstance(value, int | float):
        container[key] = rng.choice((value + 1, -value, value * 2**31, value / 3, value * 1.5))


def _put_raw(_rng: Random, _container: Any, _key: Any) -> None:
    """Raw bytes: see `Documents`."""


def _graft(_rng: Random, _container: Any, _key: Any) -> None:
    """A value of another document: see `Documents`."""


_CHANGES: Final[tuple[Callable[[Random, Any, Any], None], ...]] = (
    _remove, _replace, _replace, _time, _rename, _add, _swap, _retype, _nudge, _nudge,
    _put_raw, _graft,
)  # fmt: skip

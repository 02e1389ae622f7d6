"""The parsers, each with how its inputs are drawn and what has to hold of whatever comes out."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Final, Protocol
from unittest.mock import patch

import msgspec
import orjson

from cc_stream.config import FILE_VARIABLE, PREFIX, Settings, load_settings
from cc_stream.contracts import decode_chunk, decode_one, encode
from cc_stream.dead_letters import RULE_IDS
from cc_stream.errors import ConfigError
from cc_stream.events import Event, Refused
from cc_stream.installation import limits_of, terms_of_settings, topics_of
from cc_stream.reference import Terms, terms_of
from cc_stream.sources import SOURCES
from cc_stream.sources.follow import Piece, Position, read_piece
from cc_stream.sources.source import AnySource, Folded, Options
from tests.fuzz.floor import Floor, Given
from tests.fuzz.mutate import Documents, headers, in_binary_mode, junk, line, spoiled

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
REFERENCE = ("cc.roster", "cc.queue.configured", "cc.target", "cc.schedule")
CHUNK = 16
"""So many records are decoded and counted together."""
CHUNKS = 32
"""After so many chunks a new floor begins: what one has seen, it keeps."""
LONG_VALUE = 4_096
"""A setting is at most so long."""
LONG_LOG = 5_000
"""A log of so many bytes is begun anew."""


class Target(Protocol):
    """One parser. An object of it may remember what it was given, but a bounded part."""

    share: ClassVar[int]
    """How much of a run is for this one, against the others."""
    errors: ClassVar[tuple[type[Exception], ...]]
    """What may leave the parser."""

    def draw(self, rng: Random) -> Any:
        """An input."""

    def parse(self, given: Any) -> Any:
        """What is measured: the parser alone. The same again for the same input."""

    def hold(self, given: Any, found: Any) -> None:
        """Make sure of everything that has to be true of it; it may be looked at later."""

    def close(self) -> None:
        """Look at what was put off, and let go of everything."""


def examples(which: str, kinds: tuple[str, ...]) -> list[bytes]:
    """The example files, `good` or `bad`, of types that begin so."""
    found = [
        path.read_bytes()
        for path in sorted(EXAMPLES.glob(f"cc.*/{which}-*.json"))
        if path.parent.name.startswith(kinds)
    ]
    return [value for value in found if _is_json(value)]


def _is_json(value: bytes) -> bool:
    try:
        return isinstance(orjson.loads(value), dict)
    except ValueError:
        return False


class Records:
    """Records of any topic: `decode_one`, `decode_chunk`, and the stages behind them."""

    share: ClassVar[int] = 70
    errors: ClassVar[tuple[type[Exception], ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ("cc.",)

    def __init__(self) -> None:
        self.documents = Documents(examples("good", self.kinds), examples("bad", self.kinds))
        self.chunk: list[tuple[Given, Event | Refused, int]] = []
        self.chunks = 0
        self.floor = Floor()

    def draw(self, rng: Random) -> Given:
        if rng.random() < 0.01:
            return Given(None, headers(rng))
        value = self.documents.draw(rng)
        if rng.random() < 0.2:
            return Given(*in_binary_mode(rng, value))
        return Given(value, headers(rng))

    def parse(self, given: Given) -> tuple[Event | Refused, int]:
        return decode_one(given.value, given.headers)

    def hold(self, given: Given, found: tuple[Event | Refused, int]) -> None:
        outcome, unknown = found
        if isinstance(outcome, Refused):
            assert outcome.rule in RULE_IDS
        else:
            again, _ = decode_one(encode(outcome))
            assert type(again) is type(outcome)
        self.chunk.append((given, outcome, unknown))
        if len(self.chunk) == CHUNK:
            self._count()

    def _count(self) -> None:
        records = [given for given, _, _ in self.chunk]
        outcomes, unknown = decode_chunk(records)
        assert repr(outcomes) == repr([outcome for _, outcome, _ in self.chunk])
        assert unknown == sum(count for _, _, count in self.chunk)
        events = [
            (given, None if isinstance(outcome, Refused) else outcome)
            for given, outcome, _ in self.chunk
        ]
        self.chunk = []
        self.floor.take(events, elsewhere=(self.chunks % CHUNK,))
        self.chunks += 1
        if self.chunks == CHUNKS:
            self._renew()

    def _renew(self) -> None:
        self.floor.load_again()
        self.floor, self.chunks = Floor(), 0

    def close(self) -> None:
        if self.chunk:
            self._count()
        self._renew()


class ReferenceRecords(Records):
    """Reference data, which free fields make the easiest to spoil."""

    share: ClassVar[int] = 8
    kinds = REFERENCE


class TermsOf:
    """The settings of a queue or team in reference data: `terms_of`."""

    share: ClassVar[int] = 4
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    def draw(self, rng: Random) -> dict[str, Any]:
        names = (
            "service_level_seconds", "short_abandon_seconds", "service_level_formula", "timezone",
            "max_wait_seconds", "wrap_limit_seconds", "handle_time_band_seconds",
        )  # fmt: skip
        fields = {name: junk(rng) for name in names if rng.random() < 0.4}
        if rng.random() < 0.3:
            fields["handle_time_band_seconds"] = [junk(rng, 0), junk(rng, 0)]
        return fields

    def parse(self, given: dict[str, Any]) -> Terms:
        return terms_of(given)

    def hold(self, given: dict[str, Any], found: Terms) -> None:
        assert terms_of(given) == found
        assert msgspec.convert(msgspec.to_builtins(found), Terms) == found

    def close(self) -> None:
        """Nothing is kept."""


class Lines:
    """The lines of a source: `fold` and `flush`, from the state that the lines before left."""

    share: ClassVar[int] = 12
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, source: AnySource) -> None:
        self.source = source
        folder = EXAMPLES / source.name.replace("-", "_")
        self.lines = [
            one for file in folder.glob("*.log") for one in file.read_bytes().split(b"\n") if one
        ]
        self.options = Options(source.default_source, caller_hash_key=b"0123456789abcdef")
        self.state = source.start()
        self.taken = 0

    def draw(self, rng: Random) -> list[bytes]:
        return [line(rng, self.lines)]

    def parse(self, given: list[bytes]) -> Folded[Any]:
        return self.source.fold(self.state, given, self.options)

    def hold(self, given: list[bytes], found: Folded[Any]) -> None:
        for refusal in found.refused:
            assert refusal.payload == given[refusal.index]
            assert refusal.why.rule in RULE_IDS
        for event in found.events:
            assert decode_one(encode(event)) == (event, 0)
        self.taken += 1
        if self.taken % CHUNK == 0:
            self._save(found.state)
        self.state = found.state
        if self.taken % (CHUNK * CHUNKS) == 0:
            self.state = self.source.start()

    def _save(self, state: Any) -> None:
        assert self.source.load(self.source.dump(state)) == state
        for event in self.source.flush(state, self.options, None).events:
            assert decode_one(encode(event)) == (event, 0)

    def close(self) -> None:
        self._save(self.state)
        self.state = self.source.start()


class Follow:
    """The bytes of a log file that is written to, cut and rotated: `read_piece`."""

    share: ClassVar[int] = 3
    errors: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "queue_log"
        self.rotated = self.path.with_name("queue_log.1")
        folder = EXAMPLES / "asterisk_queue_log"
        self.lines = (folder / "queue_log.log").read_bytes().split(b"\n")
        self.position: Position | None = None

    def draw(self, rng: Random) -> bool:
        """Change the file; whether it is final is what the parser is told."""
        kind = rng.randrange(8)
        content = b"\n".join(rng.choice(self.lines) for _ in range(rng.randrange(4)))
        if rng.random() < 0.3:
            content = spoiled(rng, content, self.lines)
        if kind == 0 and self.path.exists():
            self.path.rename(self.rotated)
        elif kind == 1:
            self.rotated.write_bytes(content)
        elif kind == 2:
            self.rotated.with_name("queue_log.2.gz").write_bytes(b"\x1f\x8b" + content)
        is_long = self.path.exists() and self.path.stat().st_size > LONG_LOG
        mode = "wb" if kind == 3 or is_long else "ab"
        with self.path.open(mode) as stream:
            stream.write(content + b"\n" * rng.randrange(2))
        return rng.random() < 0.3

    def parse(self, given: bool) -> Piece | None:  # noqa: FBT001
        return read_piece(self.path, self.position, max_lines=50, is_final=given)

    def hold(self, _given: bool, found: Piece | None) -> None:  # noqa: FBT001
        if found is None:
            return
        assert len(found.lines) == len(found.offsets) > 0
        assert not any(b"\n" in one for one in found.lines)
        assert list(found.offsets) == sorted(found.offsets)
        packed = msgspec.msgpack.encode(found.position)
        assert msgspec.msgpack.decode(packed, type=Position) == found.position
        self.position = found.position

    def close(self) -> None:
        self.folder.cleanup()


class SettingsOf:
    """Settings from the environment, a TOML file and arguments: `load_settings`."""

    share: ClassVar[int] = 3
    errors: ClassVar[tuple[type[Exception], ...]] = (ConfigError,)

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "cc-stream.toml"
        self.names = tuple(Settings.model_fields)
        self.good = {
            name: orjson.dumps(
                field.default.get_secret_value()
                if hasattr(field.default, "get_secret_value")
                else field.default
            )
            for name, field in Settings.model_fields.items()
            if field.default is not None
        }

    def draw(self, rng: Random) -> Mapping[str, str]:
        """The environment; the file is written."""
        rows = []
        for _ in range(rng.randrange(4)):
            name = rng.choice(self.names)
            value = self._value(rng, name)
            rows.append(name.encode() + b" = " + value)
        text = b"\n".join(rows)
        if text and rng.random() < 0.3:
            text = spoiled(rng, text, list(self.good.values()))
        if rng.random() < 0.02:
            text = b"broker = " + b"[" * rng.choice((20, 2_000, 50_000))
        self.file.write_bytes(text)
        environment = {}
        for _ in range(rng.randrange(4)):
            name = rng.choice(self.names)
            value = self._value(rng, name).strip(b'"').replace(b"\x00", b"")
            environment[PREFIX + name.upper()] = os.fsdecode(value)
        return environment

    def _value(self, rng: Random, name: str) -> bytes:
        if rng.random() < 0.6 and name in self.good:
            return self.good[name]
        text = Documents([b'{"a": 1}']).draw(rng)
        found = text.partition(b":")[2].strip().removesuffix(b"}")
        return found[:LONG_VALUE]

    def parse(self, given: Mapping[str, str]) -> Settings:
        with patch.dict(os.environ, {**given, FILE_VARIABLE: str(self.file)}):
            return load_settings()

    def hold(self, _given: Mapping[str, str], found: Settings) -> None:
        topics_of(found)
        limits_of(found)
        terms_of_settings(found)
        assert found.redis_shown

    def close(self) -> None:
        self.folder.cleanup()


def _lines_of(source: AnySource) -> Callable[[], Target]:
    return lambda: Lines(source)


TARGETS: Final[Mapping[str, Callable[[], Target]]] = {
    "records": Records,
    "reference": ReferenceRecords,
    "terms_of": TermsOf,
    **{source.name: _lines_of(source) for source in SOURCES},
    "follow": Follow,
    "settings": SettingsOf,
}


def inputs_of(total: int) -> dict[str, int]:
    """How many of all inputs each target gets, at least one."""
    shares = {}
    for name, make in TARGETS.items():
        target = make()
        shares[name] = target.share
        target.close()
    whole = sum(shares.values())
    return {name: max(1, total * share // whole) for name, share in shares.items()}

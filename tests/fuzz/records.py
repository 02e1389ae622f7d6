"""Records as fuzz targets: events, reference data, and the settings in reference data."""

from pathlib import Path
from random import Random
from typing import Any, ClassVar

import msgspec
import orjson

from cc_stream.contracts import decode_chunk, decode_one, encode
from cc_stream.dead_letters import RULE_IDS
from cc_stream.events import Event, Refused
from cc_stream.reference import Terms, terms_of
from tests.fuzz.floor import Floor, Given
from tests.fuzz.junk import junk
from tests.fuzz.mutate import Documents
from tests.fuzz.wire import headers, in_binary_mode

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
REFERENCE = ("cc.roster", "cc.queue.configured", "cc.target", "cc.schedule")
CHUNK = 16
"""So many records are decoded and counted together."""
CHUNKS = 32
"""After so many chunks a new floor begins: what one has seen, it keeps."""


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

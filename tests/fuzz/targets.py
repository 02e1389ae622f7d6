"""The parsers that are fuzzed: what a target is, and all of them. A new one is one line here."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, ClassVar, Final, Protocol

from cc_stream.sources import SOURCES
from cc_stream.sources.source import AnySource
from tests.fuzz.files import Follow, Lines
from tests.fuzz.records import Records, ReferenceRecords, TermsOf
from tests.fuzz.settings import SettingsOf


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

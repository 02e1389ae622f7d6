"""Log files as fuzz targets: the lines of a source, and the bytes that a file has."""

import tempfile
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import msgspec

from cc_stream.contracts import decode_one, encode
from cc_stream.dead_letters import RULE_IDS
from cc_stream.sources.follow import Piece, Position, read_piece
from cc_stream.sources.source import AnySource, Folded, Options
from tests.fuzz.records import CHUNK, CHUNKS, EXAMPLES
from tests.fuzz.wire import line, spoiled

LONG_LOG = 5_000
"""A log of so many bytes is begun anew."""


class Lines:
    """The lines of a source: `fold` and `flush`, from the state that the lines before left."""

    share: ClassVar[int] = 12
    errors: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, source: AnySource) -> None:
        self.source = source
        folder = EXAMPLES / source.name.replace("-", "_")
        self.lines = [
            one
            for file in sorted(folder.glob("*.log"))
            for one in file.read_bytes().split(b"\n")
            if one
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

"""Following real files over rotations: every line once, whatever the position was."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cc_stream.sources.follow import READ_BYTES, Position, read_piece


class Reader:
    """Reads on from its position, and can be started again from it."""

    def __init__(self, path: Path, max_lines: int = 2000) -> None:
        self.path = path
        self.max_lines = max_lines
        self.position: Position | None = None
        self.lines: list[bytes] = []
        self.gaps = 0

    def read(self, *, is_final: bool = False) -> list[bytes]:
        """All lines that there are now."""
        before = len(self.lines)
        while piece := read_piece(
            self.path, self.position, max_lines=self.max_lines, is_final=is_final
        ):
            self.lines += piece.lines
            self.position = piece.position
            self.gaps += piece.gap
        return self.lines[before:]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "queue_log"


def write(path: Path, *lines: str, mode: str = "ab") -> None:
    with path.open(mode) as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())


def test_a_partial_last_line_waits_for_its_newline(log: Path) -> None:
    log.write_bytes(b"one\ntw")
    reader = Reader(log)
    assert reader.read() == [b"one"]
    with log.open("ab") as stream:
        stream.write(b"o\n")
    assert reader.read() == [b"two"]
    assert reader.read() == []


def test_the_last_line_of_a_finished_file_needs_no_newline(log: Path) -> None:
    log.write_bytes(b"one\ntwo")
    reader = Reader(log)
    assert reader.read(is_final=True) == [b"one", b"two"]
    assert reader.read(is_final=True) == []


def test_an_endless_line_is_cut_and_does_not_stop_the_reader(log: Path) -> None:
    log.write_bytes(b"x" * (READ_BYTES + 5) + b"\nnext\n")
    lines = Reader(log).read()
    assert [len(line) for line in lines] == [READ_BYTES, 5, 4]


def test_a_missing_file_is_waited_for(log: Path) -> None:
    reader = Reader(log)
    with pytest.raises(FileNotFoundError):
        read_piece(log, None, is_final=True)
    assert reader.read() == []
    write(log, "one")
    assert reader.read() == [b"one"]


def test_lines_written_after_the_rename_are_read_before_the_new_file(log: Path) -> None:
    reader = Reader(log)
    write(log, "one")
    assert reader.read() == [b"one"]
    old = log.rename(log.with_name("queue_log.1"))
    assert reader.read() == []
    log.touch()  # logrotate makes the new file before the writer has let go of the old one
    assert reader.read() == []
    write(old, "two")
    assert reader.read() == [b"two"]
    write(old, "three")
    write(log, "four")
    assert reader.read() == [b"three", b"four"]


def test_an_unfinished_line_of_a_file_that_is_left_is_not_lost(log: Path) -> None:
    reader = Reader(log)
    log.write_bytes(b"one\nhalf")
    assert reader.read() == [b"one"]
    log.rename(log.with_name("queue_log.1"))
    write(log, "two")
    assert reader.read() == [b"half", b"two"]


def test_three_rotations_while_nobody_read(log: Path) -> None:
    reader = Reader(log)
    write(log, "one", "two")
    reader.read()
    for number in range(3):
        for n in (3, 2, 1):
            old = log.with_name(f"queue_log.{n}")
            if old.exists():
                old.rename(log.with_name(f"queue_log.{n + 1}"))
        log.rename(log.with_name("queue_log.1"))
        write(log, f"line {number}")
    assert reader.read() == [b"line 0", b"line 1", b"line 2"]
    assert reader.gaps == 0


def compress(old: Path) -> None:
    with old.open("rb") as plain, gzip.open(f"{old}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)


@pytest.mark.parametrize("keep", [True, False])
def test_a_rotated_file_that_was_compressed(log: Path, keep: bool) -> None:  # noqa: FBT001
    reader = Reader(log)
    write(log, "one", "two")
    reader.read()
    write(log, "three")
    old = log.rename(log.with_name("queue_log-20261122"))
    compress(old)
    if not keep:
        old.unlink()
    write(log, "four")
    assert reader.read() == [b"three", b"four"]
    assert reader.gaps == 0


def test_a_half_compressed_copy_is_passed_over(log: Path) -> None:
    reader = Reader(log)
    write(log, "one")
    reader.read()
    old = log.rename(log.with_name("queue_log.1"))
    write(old, "two")
    log.with_name("queue_log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n")[:15])
    write(log, "three")
    assert reader.read() == [b"two", b"three"]


@pytest.mark.parametrize("new", [["four"], ["four", "five", "six, longer than before"]])
def test_copytruncate(log: Path, new: list[str]) -> None:
    reader = Reader(log)
    write(log, "one", "two")
    reader.read()
    write(log, "three")
    shutil.copy(log, log.with_name("queue_log.1"))
    log.write_bytes(b"")
    write(log, *new)
    assert reader.read() == [b"three", *[line.encode() for line in new]]
    assert reader.gaps == 0


def test_a_file_that_is_gone_is_a_gap_and_older_files_are_not_read_again(log: Path) -> None:
    write(log.with_name("queue_log.1"), "older")
    reader = Reader(log)
    write(log, "one", "two")
    reader.read()
    log.unlink()
    write(log, "three")
    assert reader.read() == [b"three"]
    assert reader.gaps == 1


def test_an_inode_that_is_used_anew_is_another_file(log: Path) -> None:
    write(log, "one", "two")
    reader = Reader(log)
    reader.read()
    log.write_bytes(b"another file altogether, longer than what was read\n")
    assert reader.read() == [b"another file altogether, longer than what was read"]
    assert reader.gaps == 1


def rename(log: Path) -> None:
    log.rename(log.with_name("queue_log.1"))


def copytruncate(log: Path) -> None:
    shutil.copy(log, log.with_name("queue_log.1"))
    log.write_bytes(b"")


def rename_and_compress(log: Path) -> None:
    rename(log)
    compress(log.with_name("queue_log.1"))
    log.with_name("queue_log.1").unlink()


@pytest.mark.parametrize("rotate", [rename, copytruncate, rename_and_compress])
def test_from_any_position_before_a_rotation_each_line_once(
    tmp_path: Path, rotate: Callable[[Path], None]
) -> None:
    for read_before in range(1, 6):
        folder = tmp_path / str(read_before)
        folder.mkdir()
        log = folder / "queue_log"
        write(log, *[f"line {n}" for n in range(5)])
        reader = Reader(log, max_lines=1)
        for _ in range(read_before):
            piece = read_piece(log, reader.position, max_lines=1)
            assert piece is not None
            reader.lines += piece.lines
            reader.position = piece.position
        rotate(log)
        write(log, *[f"line {n}" for n in range(5, 8)])
        reader.read()
        assert reader.lines == [b"line %d" % n for n in range(8)]
        assert reader.gaps == 0


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip file",
        gzip.compress(b"one\n" * 2000)[:-12],
        gzip.compress(b"one\n" * 2000)[:40] + b"\xff" * 40,
    ],
    ids=["other", "cut", "spoiled"],
)
def test_a_file_between_that_is_no_whole_gzip_file_is_an_error_of_reading(
    log: Path, content: bytes
) -> None:
    write(log, "zero")
    reader = Reader(log)
    reader.read()
    log.unlink()
    log.with_name("queue_log.1.gz").write_bytes(content)
    with pytest.raises(OSError, match=r"is not read|gzipped"):
        reader.read(is_final=True)


def test_bytes_are_left_as_they_are(log: Path) -> None:
    content = [b"\xef\xbb\xbfone\r", b"", b"\xff\xfe|\x00", b"last|"]
    log.write_bytes(b"\n".join(content) + b"\n")
    assert Reader(log).read() == content


def test_offsets_are_those_of_the_lines(log: Path) -> None:
    log.write_bytes(b"one\n\nthree\n")
    piece = read_piece(log, None)
    assert piece is not None
    assert piece.offsets == (0, 4, 5)
    assert piece.position.offset == piece.size == 11

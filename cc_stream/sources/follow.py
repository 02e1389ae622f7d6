"""Reading a log file that is written to and rotated, from a saved position, each line once.

A position names the file by device, inode and a fingerprint of its first bytes, so it finds the
file again under another name (rename), as a copy (copytruncate, compressed with gzip), and is not
fooled by an inode that is used anew. Rotated files are siblings named `NAME.…` or `NAME-…` with a
digit (`queue_log.1`, `queue_log-20261122.gz`); they are read on, from old to new, before `NAME`.

An old file is left for the next one only when the next one has content: a writer keeps writing to
the renamed file until it opens the new one. What copytruncate loses between copy and truncation no
reader can see.
"""

import gzip
import os
import re
import zlib
from errno import EIO, ENOENT
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, TypeAlias

from msgspec import Struct

HEAD_BYTES: Final = 1024
READ_BYTES: Final = 1 << 20
"""At most this much is read at once; a line that is longer is cut here."""
_ATTEMPTS: Final = 5
_UNREADABLE: Final = (EOFError, zlib.error, gzip.BadGzipFile)

_Stream: TypeAlias = IO[bytes] | gzip.GzipFile


class Position(Struct, frozen=True, array_like=True):
    """Where reading goes on: `offset` bytes into the file that begins with `head_bytes` of `head`.

    `modified_ns`: when that file was last written to; what is younger has not been read.
    """

    device: int
    inode: int
    head: bytes
    head_bytes: int
    offset: int
    modified_ns: int


class Piece(Struct, frozen=True):
    """Lines without their newline, the offset of each, and the position behind the last.

    `size`: bytes of that file. `gap`: the file of the former position is gone, so lines that were
    not read may be lost.
    """

    lines: tuple[bytes, ...]
    offsets: tuple[int, ...]
    position: Position
    file: str
    size: int
    gap: bool = False


class _File(Struct, frozen=True):
    path: Path
    device: int
    inode: int
    modified_ns: int
    size: int


class _MovedError(Exception):
    """Another file has taken the name since it was listed."""


def read_piece(
    path: Path, position: Position | None, *, max_lines: int = 2000, is_final: bool = False
) -> Piece | None:
    """The next lines behind a position (None: the start of `path`); None if there are none yet.

    The last line waits for its newline, unless `is_final` or a newer file has begun.

    Raises:
        OSError: a file cannot be read. That `path` is missing is an error only if `is_final`.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _read_on(path, position, max_lines, is_final=is_final)
        except (_MovedError, FileNotFoundError):
            # Rotated while we looked: look again.
            if attempt == _ATTEMPTS - 1:
                raise
    return None


def _read_on(
    path: Path, position: Position | None, max_lines: int, *, is_final: bool
) -> Piece | None:
    files = _listing(path, with_rotated=position is not None)
    if is_final and not files:
        raise FileNotFoundError(ENOENT, "no such file", str(path))
    index, offset, gap = _find(files, position)
    start = index
    while index < len(files):
        file = files[index]
        if index > start and not gap and _begins_like(file, position):
            index += 1  # a copy of what was just read to its end, often half compressed
            continue
        # Decided before reading: the writer has left this file when the next one has content.
        is_left = any(newer.size for newer in files[index + 1 :])
        is_over = is_left or is_final
        piece = _read(file, offset, max_lines, is_over=is_over, gap=gap)
        if piece is not None or not is_over:
            return piece
        index, offset = index + 1, 0
    return None


def _listing(path: Path, *, with_rotated: bool) -> list[_File]:
    """The generations of the log, the oldest first."""
    rotated = re.compile(re.escape(path.name) + r"[.-].*[0-9].*")
    names = [p for p in path.parent.iterdir() if rotated.fullmatch(p.name)] if with_rotated else []
    files = sorted((_stat(p) for p in names), key=lambda file: file.modified_ns)
    return [*files, _stat(path)] if path.exists() else files


def _stat(path: Path) -> _File:
    stat = path.stat()
    return _File(path, stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _find(files: list[_File], position: Position | None) -> tuple[int, int, bool]:
    """Where reading goes on: index of the file, offset, and whether the old file is gone."""
    if position is None:
        return 0, 0, False
    name = position.device, position.inode
    same = [i for i, f in enumerate(files) if (f.device, f.inode) == name]
    for index in same:
        if _continues(files[index], position):
            return index, position.offset, False
    if position.head_bytes:
        for index in range(len(files)):
            if index not in same and _continues(files[index], position):
                return index, position.offset, False
    younger = [i for i, f in enumerate(files) if f.modified_ns > position.modified_ns]
    return (younger[0] if younger else len(files)), 0, position.offset > 0


def _continues(file: _File, position: Position) -> bool:
    """Whether this is the file of the position, and still as long."""
    try:
        with _open(file) as stream:
            if _fingerprint(stream, position.head_bytes) != position.head:
                return False
            reached = stream.seek(position.offset)
            return reached == position.offset and (_is_packed(file) or file.size >= reached)
    except _UNREADABLE:
        return False


def _begins_like(file: _File, position: Position | None) -> bool:
    """Whether a file begins with what the position's file begins with, or is no whole gzip file."""
    if position is None or not position.head_bytes:
        return False
    try:
        with _open(file) as stream:
            return _fingerprint(stream, position.head_bytes) == position.head
    except _UNREADABLE:
        return True


def _open(file: _File) -> _Stream:
    stream = file.path.open("rb")
    stat = os.fstat(stream.fileno())
    if (stat.st_dev, stat.st_ino) != (file.device, file.inode):
        stream.close()
        raise _MovedError(file.path.name)
    if _is_packed(file):
        stream.close()
        return gzip.open(file.path, "rb")
    return stream


def _is_packed(file: _File) -> bool:
    return file.path.suffix == ".gz"


def _fingerprint(stream: _Stream, count: int) -> bytes:
    stream.seek(0)
    return blake2b(stream.read(count), digest_size=16).digest() if count else b""


def _read(file: _File, offset: int, max_lines: int, *, is_over: bool, gap: bool) -> Piece | None:
    """The next lines of one file; None at its end.

    Raises:
        OSError: it cannot be read, or is no whole gzip file.
    """
    with _open(file) as stream:
        try:
            stream.seek(offset)
            data = stream.read(READ_BYTES)
        except _UNREADABLE as error:
            raise OSError(EIO, f"is not read: {error}", str(file.path)) from error
        lines, offsets, end = _split(data, offset, max_lines, is_over=is_over)
        if not lines:
            return None
        head_bytes = min(end, HEAD_BYTES)
        head = _fingerprint(stream, head_bytes)
    position = Position(file.device, file.inode, head, head_bytes, end, file.modified_ns)
    size = max(file.size, end)
    return Piece(tuple(lines), tuple(offsets), position, file.path.name, size, gap)


def _split(
    data: bytes, offset: int, max_lines: int, *, is_over: bool
) -> tuple[list[bytes], list[int], int]:
    """Lines, the offset of each, and the offset behind the last."""
    lines: list[bytes] = []
    offsets: list[int] = []
    start = 0
    while len(lines) < max_lines:
        newline = data.find(b"\n", start)
        if newline < 0:
            break
        lines.append(data[start:newline])
        offsets.append(offset + start)
        start = newline + 1
    is_tail = is_over and len(data) < READ_BYTES and start < len(data)
    is_endless = len(data) == READ_BYTES and not lines
    if (is_tail and len(lines) < max_lines) or is_endless:
        lines.append(data[start:])
        offsets.append(offset + start)
        start = len(data)
    return lines, offsets, offset + start

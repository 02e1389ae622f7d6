"""Dead letters as a table, as JSON, and one of them whole.

What a stranger's record says is shown without control characters: they could write over a terminal.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TextIO
from zoneinfo import ZoneInfo

import msgspec
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cc_stream.dead_letters import KEPT
from cc_stream.events import to_rfc3339
from cc_stream.replay import OpenLetter
from cc_stream.report.write import Column, fitting

ROWS: Final = 100
"""A table shows so many, the newest."""
_WIDE: Final = 240
_COLUMNS: Final = (
    ("key", "key"),
    ("rule", "reason"),
    ("written", "refused"),
    ("path", "path"),
    ("bytes", "bytes"),
    ("replays", "replays"),
    ("detail", "detail"),
)
_SPARED: Final = ("detail", "bytes", "replays", "written", "path")
"""What a narrow terminal does without, first to last; key and reason are always shown."""


def plain(text: str) -> str:
    """The text in one line, with escapes in place of what cannot be printed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_json(letters: Sequence[OpenLetter], out: TextIO) -> None:
    """One array; each letter an object of its own, times in RFC 3339 UTC."""
    separator = "[\n"
    for letter in letters:
        document = {name: getattr(letter, name) for name in _JSON}
        document["refused_at"] = to_rfc3339(letter.written_ms)
        out.write(separator + orjson.dumps(document).decode())
        separator = ",\n"
    out.write("[]\n" if not letters else "\n]\n")


_JSON: Final = (
    "key", "rule", "path", "detail", "topic", "partition", "offset", "bytes", "cut", "replays",
)  # fmt: skip


def write_table(
    letters: Sequence[OpenLetter],
    closed: int,
    timezone: str,
    out: TextIO,
    width: int | None = None,
) -> None:
    """How many there are by reason, and the newest of them; columns without room are named.

    `width` in characters; without it the terminal's, or as wide as the table elsewhere.
    """
    console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)
    if width is None and not console.is_terminal:
        console.width = _WIDE
    by_rule = Counter(plain(letter.rule) for letter in letters)
    for rule, count in by_rule.most_common():
        console.print(f"{count:>8,}  {rule}", soft_wrap=True)
    newest = letters[-ROWS:]
    if newest:
        zone = ZoneInfo(timezone)
        table, missing = fitting(
            console, _COLUMNS, _SPARED, lambda columns: _table(newest, columns, zone)
        )
        console.print(table)
        if missing:
            text = f"no room for {', '.join(missing)} (--format json has all)"
            console.print(text, soft_wrap=True)
    if len(newest) < len(letters):
        text = f"{len(letters) - len(newest):,} older ones: --format json has all"
        console.print(text, soft_wrap=True)
    closed_ones = f", {closed:,} closed by a replay" if closed else ""
    console.print(f"{len(letters):,} open{closed_ones}", soft_wrap=True)


def _table(letters: Sequence[OpenLetter], columns: Sequence[Column], zone: ZoneInfo) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name, heading in columns:
        is_number = name in {"bytes", "replays"}
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for letter in letters:
        table.add_row(*(_cell(letter, name, zone) for name, _ in columns))
    return table


def _cell(letter: OpenLetter, name: str, zone: ZoneInfo) -> str:
    if name == "written":
        return _local(letter.written_ms, zone)
    if name == "bytes":
        return f"{letter.bytes:,}"
    return plain(str(getattr(letter, name)))


def _local(ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(ms // 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def write_letter(letter: OpenLetter, record: Any, timezone: str, out: TextIO) -> None:
    """All that is known of a letter, and its value: JSON in lines, anything else as it is."""
    headers = [
        (f"header {name.removeprefix(KEPT)}", _text(content or b""))
        for name, content in record.headers
        if name.startswith(KEPT)
    ]
    key = dict(record.headers).get("cc_key")
    facts = [
        ("key", letter.key),
        ("reason", letter.rule),
        ("path", letter.path),
        ("detail", letter.detail),
        ("lay in", f"{letter.topic}, partition {letter.partition}, offset {letter.offset}"),
        ("refused", f"{_local(letter.written_ms, ZoneInfo(timezone))} {timezone}"),
        ("replays", str(letter.replays)),
        ("cut", letter.cut),
        ("its key", "" if key is None else _text(key)),
        *headers,
        ("bytes", f"{letter.bytes:,}"),
    ]
    for name, fact in facts:
        if fact:
            out.write(f"{plain(name)}: {plain(fact)}\n")
    out.write("\n".join(plain(line) for line in ("", *_lines(record.value))) + "\n")


def _lines(value: bytes) -> list[str]:
    with suppress(ValueError, RecursionError):  # what is no JSON is shown as it is
        value = msgspec.json.format(value, indent=2)
    return _text(value).split("\n")


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")

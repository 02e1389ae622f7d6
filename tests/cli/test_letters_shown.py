"""Dead letters for a person: on a narrow terminal, in numbers, and from a stranger's hand."""

import io
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from cc_stream.cli.letters_shown import ROWS, plain, write_letter, write_table
from cc_stream.replay import OpenLetter, why_not
from cc_stream.topics import topics

LETTER = OpenLetter(
    key="cc.calls.v1/3/42",
    rule="bad_value",
    path="$.data.queue",
    detail="Expected `str` of length >= 1",
    topic="cc.calls.v1",
    partition=3,
    offset=42,
    bytes=1234,
    cut="",
    replays=2,
    written_ms=1_780_000_000_000,
    place=(0, 7),
)


def table(letters: list[OpenLetter], width: int | None = None, closed: int = 0) -> str:
    out = io.StringIO()
    write_table(letters, closed, "Europe/Berlin", out, width)
    return out.getvalue()


def shown(value: bytes, headers: list[tuple[str, bytes | None]] | None = None) -> str:
    out = io.StringIO()
    record = SimpleNamespace(value=value, headers=headers or [])
    write_letter(LETTER, record, "Europe/Berlin", out)
    return out.getvalue()


def test_a_wide_table_has_all() -> None:
    text = table([LETTER, replace(LETTER, key="cc.calls.v1/3/43", rule="late")], closed=3)
    assert "       1  bad_value\n" in text
    (row,) = [line for line in text.splitlines() if line.startswith("cc.calls.v1/3/42 ")]
    assert row.split() == [
        "cc.calls.v1/3/42", "bad_value", "2026-05-28", "22:26:40", "$.data.queue", "1,234", "2",
        "Expected", "`str`", "of", "length", ">=", "1",
    ]  # fmt: skip
    assert text.endswith("2 open, 3 closed by a replay\n")


@pytest.mark.parametrize("width", range(28, 120))
def test_a_narrow_table_keeps_key_and_reason_and_says_what_has_no_room(width: int) -> None:
    lines = table([LETTER], width).splitlines()
    (row,) = [line for line in lines if line.startswith("cc.calls.v1/3/42 ")]
    assert row.split()[1] == "bad_value"
    assert len(row) <= width
    missing = [line for line in lines if line.startswith("no room for")]
    assert bool(missing) == ("Expected" not in row)


def test_a_table_shows_the_newest_and_counts_all() -> None:
    letters = [replace(LETTER, key=f"cc.calls.v1/3/{n}") for n in range(ROWS + 17)]
    text = table(letters)
    assert f"     {len(letters)}  bad_value\n" in text
    assert "17 older ones: --format json has all\n" in text
    assert "cc.calls.v1/3/16 " not in text
    assert f"cc.calls.v1/3/{ROWS + 16} " in text


def test_json_is_set_in_lines_and_keeps_its_numbers() -> None:
    assert shown(b'{"a":[1e400,12345678901234567890]}').endswith(
        '\n\n{\n  "a": [\n    1e400,\n    12345678901234567890\n  ]\n}\n'
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x1b[2J{", "\\x1b[2J{"),
        (b"\xff\x00", "\\xff\\x00"),
        ('"\u202e\u009b"'.encode(), '"\\u202e\\x9b"'),
        (b"[" * 5000, "[" * 5000),
        (b"", ""),
    ],
)
def test_what_could_harm_a_terminal_is_shown_as_escapes(value: bytes, expected: str) -> None:
    assert shown(value).endswith(f"\n\n{expected}\n")


def test_a_key_and_the_headers_of_the_record_are_shown() -> None:
    text = shown(b"{}", [("cc_key", b"c\xff"), ("cc_header.h\n", b"1"), ("cc_header.none", None)])
    assert "its key: c\\xff\n" in text
    assert "header h\\n: 1\n" in text
    assert "none" not in text


def test_plain_is_one_line() -> None:
    assert plain("a\r\nb") == "a\\r\\nb"
    assert plain("Zürich 東京") == "Zürich 東京"


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (LETTER, None),
        (replace(LETTER, rule="poison"), None),
        (replace(LETTER, rule="late"), "late again"),
        (replace(LETTER, rule="contact_gone"), "a second time"),
        (replace(LETTER, rule="tombstone"), "no value"),
        (replace(LETTER, rule="too_large", cut="value"), "not all of it was kept: value"),
        (replace(LETTER, cut="headers"), "not all of it was kept: headers"),
        (replace(LETTER, topic="asterisk-queue-log/queue_log"), "no record of an event topic"),
        (replace(LETTER, topic="cc.deltas.v1"), "no record of an event topic"),
        (replace(LETTER, partition=4), "no such partition"),
        (replace(LETTER, partition=-1), "no such partition"),
    ],
)
def test_what_cannot_be_replayed_says_why(letter: OpenLetter, why: str | None) -> None:
    said = why_not(letter, topics())
    assert said is None if why is None else why in (said or "")

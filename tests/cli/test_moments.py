"""Times on a command line."""

from zoneinfo import ZoneInfo

import pytest

from cc_stream.cli.moments import midnight_ms, moment_ms
from cc_stream.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
NOW_MS = 1_780_000_000_000  # 2026-05-28 22:26:40 in Berlin
MIDNIGHT_MS = 1_779_919_200_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW_MS),
        ("-3h", NOW_MS - 3 * 3_600_000),
        ("-90s", NOW_MS - 90_000),
        ("-0.5d", NOW_MS - 12 * 3_600_000),
        ("00:00", MIDNIGHT_MS),
        ("08:30", MIDNIGHT_MS + 17 * 1_800_000),
        ("2026-05-28", MIDNIGHT_MS),
        ("2026-05-28 08:30", MIDNIGHT_MS + 17 * 1_800_000),
        ("2026-05-27T22:00:00Z", MIDNIGHT_MS),
        ("2026-05-28T00:00:00+02:00", MIDNIGHT_MS),
    ],
)
def test_forms(text: str, expected: int) -> None:
    assert moment_ms(text, BERLIN, NOW_MS) == expected


@pytest.mark.parametrize("text", ["", "soon", "3h", "-3w", "24:00", "2026-13-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        moment_ms(text, BERLIN, NOW_MS)


def test_midnight_is_the_floors() -> None:
    assert midnight_ms(BERLIN, NOW_MS) == MIDNIGHT_MS
    assert midnight_ms(ZoneInfo("UTC"), NOW_MS) == MIDNIGHT_MS + 2 * 3_600_000

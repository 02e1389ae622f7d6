"""Times as people write them on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cc_stream.errors import ConfigError

EXPECTED: Final = "expected 2026-03-02T08:00:00Z, 2026-03-02 08:00, 08:00, now or -3h"
_AGO: Final = re.compile(r"-(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TODAY: Final = re.compile(r"\d{2}:\d{2}(?::\d{2})?")


def moment_ms(text: str, zone: ZoneInfo, now_ms: int) -> int:
    """A moment in milliseconds UTC; without an offset it is meant in `zone`.

    Raises:
        ConfigError: it is none of the forms of `EXPECTED`.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    ago = _AGO.fullmatch(text)
    if text == "now":
        return now_ms
    if ago:
        span = timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return now_ms - round(span.total_seconds() * 1000)
    if _TODAY.fullmatch(text):
        text = f"{now:%Y-%m-%d}T{text}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"time {text!r}: {EXPECTED}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)


def midnight_ms(zone: ZoneInfo, now_ms: int) -> int:
    """When the day of `now_ms` began in `zone`."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    return round(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)

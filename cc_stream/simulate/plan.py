"""What is simulated: the floor, its queues and the faults of its feed. Plain frozen settings."""

import hashlib
import re
from random import Random
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from cc_stream.errors import ConfigError
from cc_stream.events import DEFAULT_TENANT

NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names are written into JSON as they are, so nothing that JSON would escape is allowed."""
SOURCE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
MAX_SEATS: Final = 200_000
MAX_MEAN: Final = 1e6
LOAD: Final = (0.01, 10.0)
MAX_DISORDER_SECONDS: Final = 3600.0


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - the condition is the point
    if not condition:
        raise ConfigError(f"simulation: {message}")


class QueuePlan(Struct, frozen=True, kw_only=True):
    """One queue: its share of the contacts, what they need, and how it is configured.

    `share` is relative to the other queues. `talk_seconds`, `wrap_seconds` and
    `patience_seconds` are means. `eligible` and `chat` are shares (0…1) of the answered contacts
    and of all contacts; `conversion` scales the agents' own rates; `value_minor` is the median
    value of a sale. The rest is published as reference data.

    Raises:
        ConfigError: a name or number is out of bounds.
    """

    name: str
    share: float
    talk_seconds: float
    wrap_seconds: float
    patience_seconds: float
    eligible: float
    conversion: float = 1.0
    value_minor: int = 4_900
    chat: float = 0.1
    service_level_seconds: int = 20
    max_wait_seconds: int = 600
    alert_waiting: float = 0.1
    """Contacts waiting that raise an alert, as a share of the seats (at least 3)."""
    alert_wait_seconds: int = 120

    def __post_init__(self) -> None:
        """Check the bounds."""
        _require(bool(NAME.fullmatch(self.name)), f"bad queue name {self.name!r}")
        for field in ("share", "talk_seconds", "wrap_seconds", "patience_seconds"):
            value = getattr(self, field)
            _require(0 < value < MAX_MEAN, f"queue {self.name}: bad {field} {value}")
        for field in ("eligible", "chat"):
            value = getattr(self, field)
            _require(0 <= value <= 1, f"queue {self.name}: {field} must be 0 to 1, not {value}")
        for field in ("service_level_seconds", "max_wait_seconds", "alert_wait_seconds"):
            value = getattr(self, field)
            _require(value >= 1, f"queue {self.name}: {field} must be at least 1, not {value}")


class Faults(Struct, frozen=True, kw_only=True):
    """What goes wrong between the floor and the topics. Shares (0…1).

    `disorder`, `duplicates` and `bad` are shares of all events: delayed by up to
    `disorder_seconds`; sent a second time within that time; accompanied by a payload that no
    consumer may accept. `missing_ends`: share of the handled segments whose end of call or end
    of wrap-up never arrives. `restated`: share of the outcomes that are corrected later.

    Raises:
        ConfigError: a share is not between 0 and 1, or the three shares of events exceed 1.
    """

    disorder: float = 0.02
    disorder_seconds: float = 20.0
    duplicates: float = 0.005
    bad: float = 0.0005
    missing_ends: float = 0.002
    restated: float = 0.02

    def __post_init__(self) -> None:
        """Check the bounds."""
        for field in ("disorder", "duplicates", "bad", "missing_ends", "restated"):
            value = getattr(self, field)
            _require(0 <= value <= 1, f"{field} must be 0 to 1, not {value}")
        _require(
            0 < self.disorder_seconds <= MAX_DISORDER_SECONDS,
            f"disorder_seconds must be above 0 and at most 3600, not {self.disorder_seconds}",
        )
        total = self.disorder + self.duplicates + self.bad
        _require(total <= 1, f"disorder + duplicates + bad must be at most 1, not {total:g}")


NO_FAULTS: Final = Faults(disorder=0, duplicates=0, bad=0, missing_ends=0, restated=0)

DEFAULT_QUEUES: Final = (
    QueuePlan(
        name="sales", share=0.30, talk_seconds=290, wrap_seconds=50, patience_seconds=140,
        eligible=0.85, value_minor=4_900,
    ),
    QueuePlan(
        name="service", share=0.40, talk_seconds=230, wrap_seconds=35, patience_seconds=200,
        eligible=0.20, conversion=0.6, value_minor=1_900, chat=0.2,
    ),
    QueuePlan(
        name="billing", share=0.20, talk_seconds=200, wrap_seconds=40, patience_seconds=170,
        eligible=0.12, conversion=0.5, value_minor=1_200,
    ),
    QueuePlan(
        name="retention", share=0.10, talk_seconds=400, wrap_seconds=70, patience_seconds=240,
        eligible=0.95, conversion=1.3, value_minor=9_900, service_level_seconds=30, chat=0.05,
    ),
)  # fmt: skip


class SimulationSettings(Struct, frozen=True, kw_only=True):
    """A floor: the same settings and the same start give the same bytes.

    `seats` is the number of workplaces; over a day up to three people share one in shifts.
    `load` scales the arrivals (1.0: about 82 % occupancy at 200 seats). `always_open`: the night
    keeps 55 % of the peak, so that a demonstration at 03:00 shows a busy floor; otherwise 4 %.
    `spikes_an_hour` is the expected number of sudden rushes, each on one queue for minutes.

    Raises:
        ConfigError: a name or number is out of bounds.
    """

    seats: int = 200
    seed: int = 1
    tenant: str = DEFAULT_TENANT
    source: str = "/simulator/floor-1"
    teams: tuple[str, ...] = ("north", "south", "west")
    queues: tuple[QueuePlan, ...] = DEFAULT_QUEUES
    campaigns: tuple[str, ...] = ("spring", "upgrade")
    timezone: str = "Europe/Berlin"
    currency: str = "EUR"
    load: float = 1.0
    always_open: bool = True
    spikes_an_hour: float = 0.9
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        """Check the bounds."""
        _require(1 <= self.seats <= MAX_SEATS, f"seats must be 1 to {MAX_SEATS}, not {self.seats}")
        _require(LOAD[0] <= self.load <= LOAD[1], f"load must be 0.01 to 10, not {self.load}")
        _require(
            0 <= self.spikes_an_hour <= 1,
            f"spikes_an_hour must be 0 to 1, not {self.spikes_an_hour}",
        )
        _require(bool(SOURCE.fullmatch(self.source)), f"bad source {self.source!r}")
        queues = tuple(queue.name for queue in self.queues)
        for kind, names in (("team", self.teams), ("queue", queues)):
            _require(bool(names), f"at least one {kind} is needed")
            _require(len(set(names)) == len(names), f"a {kind} name occurs twice: {names}")
        for name in (self.tenant, self.currency, *self.teams, *queues, *self.campaigns):
            _require(bool(NAME.fullmatch(name)), f"bad name {name!r}")
        _require_zone(self.timezone)


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ConfigError(f"simulation: unknown time zone {name!r}") from None


def seeded(settings: SimulationSettings, purpose: str) -> Random:
    """A random stream for one purpose, so that drawing from one leaves the others as they are."""
    return Random(f"{settings.seed}/{purpose}")  # noqa: S311 - a simulation has to be repeatable


def run_name(settings: SimulationSettings, from_ms: int) -> str:
    """Eight hex digits that tell this floor and start from any other.

    Part of every id, so that two runs into one topic are not duplicates of each other. The
    faults are left out: the same floor with and without faults has the same ids.
    """
    floor = msgspec.structs.replace(settings, faults=NO_FAULTS)
    text = msgspec.json.encode([floor, from_ms])
    return hashlib.blake2b(text, digest_size=4).hexdigest()

"""How many contacts come and how many seats are staffed: pure functions of the time of day."""

from datetime import UTC, datetime
from functools import lru_cache
from math import sqrt
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cc_stream.simulate.plan import QueuePlan, SimulationSettings, seeded

HOUR_MS: Final = 3_600_000
NIGHT: Final = 0.04
NIGHT_ALWAYS_OPEN: Final = 0.55
DAY_PROFILE: Final = (
    # Share of the peak at each full hour: two humps between 08 and 20 h.
    0.00, 0.00, 0.00, 0.00, 0.00, 0.02, 0.08, 0.30, 0.62, 0.90, 1.00, 0.96,
    0.80, 0.76, 0.84, 0.93, 0.97, 0.90, 0.72, 0.50, 0.28, 0.14, 0.06, 0.02,
)  # fmt: skip
SPIKE_FACTOR: Final = (1.9, 2.9)
SPIKE_MINUTES: Final = (4.0, 9.0)
WORKING: Final = 0.88
"""Share of the staffed time that is neither break nor training nor meeting."""
BUSIEST: Final = 0.91
"""Occupancy that an endless floor is staffed for; a smaller one needs slack (square root)."""
SLACK: Final = 0.7
RING_SECONDS: Final = 4.0
LEGS_PER_CONTACT: Final = 1.07
"""Transferred contacts are handled twice."""
ANSWERED: Final = 0.95
MINUTE_MS: Final = 60_000


class Spike(NamedTuple):
    """A rush: `factor` times the usual arrivals of one queue in `[start_ms, end_ms)`."""

    queue: int
    start_ms: int
    end_ms: int
    factor: float


class Demand:
    """Rates of one floor. Reads no state of the simulation and keeps none but caches."""

    def __init__(self, settings: SimulationSettings) -> None:
        self._settings = settings
        self._night = NIGHT_ALWAYS_OPEN if settings.always_open else NIGHT
        self._rates = [rate_per_ms(settings, queue) for queue in settings.queues]
        # Bounded caches: a simulation may run for weeks.
        zone = ZoneInfo(settings.timezone)

        @lru_cache(maxsize=4)
        def local_hour(hour: int) -> float:
            moment = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone)
            return moment.hour + moment.minute / 60

        self._local_hour = local_hour
        self._spike_of = lru_cache(maxsize=4)(self._draw_spike)

    def local_hours(self, now_ms: int) -> float:
        """The local time of day in hours, 0 to 24."""
        hour, rest = divmod(now_ms, HOUR_MS)
        return (self._local_hour(hour) + rest / HOUR_MS) % 24

    def level(self, now_ms: int) -> float:
        """Load at this time of day as a share of the peak, above 0 and at most 1."""
        hours = self.local_hours(now_ms)
        index = int(hours)
        before, after = DAY_PROFILE[index], DAY_PROFILE[(index + 1) % 24]
        share = before + (after - before) * (hours - index)
        return self._night + (1 - self._night) * share

    def staffed(self, now_ms: int) -> int:
        """How many seats are wanted at this time: they follow the load, at least two."""
        return min(self._settings.seats, max(2, round(self._settings.seats * self.level(now_ms))))

    def spike(self, now_ms: int) -> Spike | None:
        """The rush that goes on at this time. One hour has at most one, within its bounds."""
        spike = self._spike_of(now_ms // HOUR_MS)
        return spike if spike and spike.start_ms <= now_ms < spike.end_ms else None

    def next_arrival(self, queue: int, now_ms: int, random: Random) -> int:
        """When the next contact of a queue comes: inhomogeneous Poisson by thinning."""
        bound = self._rates[queue] * SPIKE_FACTOR[1]
        at = float(now_ms)
        while True:
            at += random.expovariate(bound)
            moment = int(at)
            spike = self.spike(moment)
            factor = spike.factor if spike and spike.queue == queue else 1.0
            if random.random() * SPIKE_FACTOR[1] < factor * self.level(moment):
                return moment

    def _draw_spike(self, hour: int) -> Spike | None:
        """Seeded by the hour, so that the rate is a function of time and not of the run."""
        random = seeded(self._settings, f"spike/{hour}")
        if random.random() >= self._settings.spikes_an_hour:
            return None
        shares = [queue.share for queue in self._settings.queues]
        queue = random.choices(range(len(shares)), shares)[0]
        start = hour * HOUR_MS + int(random.uniform(0, 50) * MINUTE_MS)
        end = start + int(random.uniform(*SPIKE_MINUTES) * MINUTE_MS)
        return Spike(queue, start, end, random.uniform(*SPIKE_FACTOR))


def rate_per_ms(settings: SimulationSettings, queue: QueuePlan) -> float:
    """Arrivals a millisecond of one queue at the peak, from the seats that are staffed for it."""
    total = sum(each.share for each in settings.queues)
    handle = sum(
        each.share / total * (each.talk_seconds + each.wrap_seconds + RING_SECONDS)
        for each in settings.queues
    )
    agents = settings.seats * WORKING
    occupancy = max(0.35, BUSIEST - SLACK / sqrt(agents))
    contacts_per_second = agents * occupancy / (handle * LEGS_PER_CONTACT * ANSWERED)
    return contacts_per_second * settings.load * queue.share / total / 1000

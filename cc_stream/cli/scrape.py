"""Reading a worker's `/metrics`, and percentiles out of its histograms."""

import math
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS: Final = 2.0

Labels = Mapping[str, str]


class Sample(Struct, frozen=True):
    """One line of the exposition."""

    name: str
    labels: Labels
    value: float


class Scrape(Struct, frozen=True):
    """What one or several workers expose, together."""

    samples: tuple[Sample, ...] = ()

    def named(self, name: str) -> list[Sample]:
        """The samples of this exact name (a counter's ends in `_total`)."""
        return [sample for sample in self.samples if sample.name == name]

    def total(self, name: str) -> float | None:
        """The sum over all labels; None when there is no such sample."""
        values = [sample.value for sample in self.named(name)]
        return sum(values) if values else None

    def buckets(self, histogram: str) -> dict[float, float]:
        """Upper bound → count up to it, over all labels."""
        out: dict[float, float] = {}
        for sample in self.named(f"{histogram}_bucket"):
            bound = float(sample.labels["le"])
            out[bound] = out.get(bound, 0.0) + sample.value
        return out


def scrape(urls: Iterable[str]) -> Scrape:
    """Read all of these; one that does not answer is left out. Blocks: call it in a thread."""
    samples: list[Sample] = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                text = answer.read().decode()
        except OSError:
            continue
        samples += parsed(text)
    return Scrape(tuple(samples))


def parsed(text: str) -> list[Sample]:
    """The samples of an exposition in Prometheus's text format."""
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def since(before: Mapping[float, float], now: Mapping[float, float]) -> dict[float, float]:
    """What was counted between two readings of a histogram; `now` where it was restarted."""
    difference = {bound: count - before.get(bound, 0.0) for bound, count in now.items()}
    return dict(now) if any(count < 0 for count in difference.values()) else difference


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """The q-quantile (0…1) of cumulative buckets, as PromQL's `histogram_quantile` has it.

    None for an empty histogram; the largest finite bound where it lies beyond all of them.
    """
    bounds = sorted(buckets)
    count = buckets[bounds[-1]] if bounds else 0
    if not count:
        return None
    rank, low, below = q * count, 0.0, 0.0
    for bound in bounds:
        upto = buckets[bound]
        if upto >= rank:
            if math.isinf(bound):
                return low
            share = (rank - below) / (upto - below) if upto > below else 1.0
            return low + (bound - low) * share
        low, below = bound, upto
    return low

"""The metric dictionary as Markdown tables, made from the metrics themselves.

`python -m cc_stream.metrics.table` writes them into docs/metrics.md; a test holds the page equal.
"""

import sys
from pathlib import Path
from typing import Final

from cc_stream.counts import Slot
from cc_stream.metrics import METRICS, READINGS, Reading

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
KINDS: Final = ("queue", "campaign", "agent", "team", "floor")
BEGIN: Final = "<!-- made by python -m cc_stream.metrics.table: {} -->\n"
END: Final = "<!-- end -->\n"


def figure_table() -> str:
    """Which figure exists for which kind of entity, over a window or of the moment."""
    head = ["figure", *KINDS, "of", "meaning"]
    lines = [_row(head), _row(["---", *[":-:"] * len(KINDS), "---", "---"])]
    return "".join([*lines, *(_row(_figure(reading)) for reading in READINGS)])


def slot_table() -> str:
    """What is stored: the numbers of a vector, the names of their buckets, whether they add up."""
    slots = sorted((slot for metric in METRICS for slot in metric.slots), key=lambda s: s.number)
    lines = [_row(["number", "slot", "named buckets", "adds up"]), _row(["---"] * 4)]
    return "".join([*lines, *(_row(_slot(slot)) for slot in slots)])


def fill(page: str) -> str:
    """The page with both tables as they are now; ValueError if it lacks a mark."""
    for name, table in (("figures", figure_table()), ("slots", slot_table())):
        begin = BEGIN.format(name)
        start = page.index(begin) + len(begin)
        page = page[:start] + table + page[page.index(END, start) :]
    return page


def _figure(reading: Reading) -> list[str]:
    exists = ["×" if kind in reading.kinds else "" for kind in KINDS]
    return [f"`{reading.name}`", *exists, "moment" if reading.live else "window", reading.help]


def _slot(slot: Slot) -> list[str]:
    buckets = " ".join(f"`{label}`" for label in slot.labels)
    return [str(slot.number), f"`{slot.name}`", buckets, "yes" if slot.adds_up else "**no**"]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")

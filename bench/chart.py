"""A bar chart as SVG, for light and dark pages."""

from collections.abc import Mapping
from html import escape
from typing import Final

WIDTH: Final = 760
LABELS: Final = 330
"""Where bars begin: room for the longest name."""
NUMBERS: Final = 70
ROW: Final = 26
TOP: Final = 44
OURS: Final = "cc_stream"

_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #6e7681 }
  .ours { fill: #4493f8 }
}
"""


def chart(title: str, values: Mapping[str, float]) -> str:
    """One bar a value, in the order given; those of ours in another colour."""
    height = TOP + ROW * len(values)
    most = max(values.values(), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(values.items()):
        y = TOP + ROW * number
        length = max(1.0, value / most * (WIDTH - LABELS - NUMBERS))
        kind = "bar ours" if OURS in name else "bar"
        parts += [
            f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.1f}" height="18" rx="2"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{y + 13}">{value:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"

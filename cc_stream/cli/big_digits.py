"""Figures three rows high, to be read from across the room."""

from typing import Final

HEIGHT: Final = 3
_GLYPHS: Final = {
    "0": ("█▀█", "█ █", "▀▀▀"),
    "1": ("▀█ ", " █ ", "▀▀▀"),
    "2": ("▀▀█", "█▀▀", "▀▀▀"),
    "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"),
    "5": ("█▀▀", "▀▀█", "▀▀▀"),
    "6": ("█▀▀", "█▀█", "▀▀▀"),
    "7": ("▀▀█", "  █", "  ▀"),
    "8": ("█▀█", "█▀█", "▀▀▀"),
    "9": ("█▀█", "▀▀█", "▀▀▀"),
    ":": ("▄", "▄", " "),
    "%": ("▀ █", " █ ", "▀ ▀"),
    "–": ("   ", "▀▀▀", "   "),
    " ": (" ", " ", " "),
}


def big(text: str) -> str:
    """`text` (digits, `:`, `%`, `–` and blanks) as three lines; KeyError for anything else."""
    glyphs = [_GLYPHS[character] for character in text]
    return "\n".join(" ".join(glyph[row] for glyph in glyphs) for row in range(HEIGHT))

"""How all pictures of a match look."""

from typing import Any

DPI = 100
INK, SOFT, FAINT, PAPER = "#1d2430", "#6a7482", "#dfe3e8", "#ffffff"
TARGET, MATCH, RANDOM = "#2f6690", "#e07a2c", "#a9b1bb"
# Of what a monitor says; red is for nothing else.
VERDICTS = {"stable": "#4c9f70", "plateau": "#d3d8de", "diverging": "#c0392b"}
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": FAINT,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.labelcolor": INK,
}

"""How all pictures look, and what they share."""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

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


def panel_title(axes: Axes, title: str, note: str) -> None:
    """A heading with a note beside it."""
    text = axes.set_title(title, loc="left", fontsize=12.5, fontweight="bold", pad=10)
    axes.annotate(note, (1, 0), (8, 3), xycoords=text, textcoords="offset points", fontsize=9.5, color=SOFT)


def legible(text: str, most: int) -> str:
    """Shortens a text and replaces characters that the font lacks, which would each print a warning."""
    font = get_font(findfont("DejaVu Sans"))
    text = "".join(c if font.get_char_index(ord(c)) else "?" for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def png(figure: Figure) -> bytes:
    """A figure as a PNG file's content."""
    content = io.BytesIO()
    # Packed a little less: half the time, and hardly more bytes.
    figure.canvas.print_figure(content, format="png", dpi=DPI, pil_kwargs={"compress_level": 4})
    return content.getvalue()

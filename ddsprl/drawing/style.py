"""How all pictures look, and what they share."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

DPI = 100
INK, SOFT, FAINT, PAPER = "#1d2430", "#6a7482", "#dfe3e8", "#ffffff"
TARGET, MATCH, RANDOM = "#2f6690", "#e07a2c", "#a9b1bb"
# Of what a monitor says; red is for nothing else.
VERDICTS = {"stable": "#4c9f70", "plateau": "#d3d8de", "diverging": "#c0392b"}
# Of spectrograms.
RANGE_DB, LOWEST_HZ = 80.0, 30.0
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


@contextlib.contextmanager
def blank(width_px: float, height_px: float, **settings: Any) -> Iterator[Figure]:
    """An empty figure, to be drawn on and made a file within the block: ticks get their style when drawn."""
    with matplotlib.rc_context(STYLE):
        size = (width_px / DPI, height_px / DPI)
        figure = Figure(figsize=size, dpi=DPI, facecolor=PAPER, **settings)
        FigureCanvasAgg(figure)
        yield figure


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


def log_spectrogram_db(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Power spectrogram on a logarithmic frequency axis.

    Args:
        samples: [n].
        sample_rate: in Hz.

    Returns:
        The level in dB (any reference), [240, frames], and the frequencies in Hz, [240], spaced evenly in log
        frequency from 30 Hz to half the rate. Frames are spread evenly over the clip, the first centred on
        its first and the last on its last sample.
    """
    window = 2 ** round(np.log2(0.064 * sample_rate))
    frames, rows = 480, 240
    starts = np.round(np.linspace(0, max(samples.size - 1, 0), frames)).astype(int)
    padded = np.pad(samples, (window // 2, window // 2 + 1))
    framed = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.square(np.abs(np.fft.rfft(framed, 2 * window, axis=1)))
    edges_hz = np.geomspace(LOWEST_HZ, sample_rate / 2, rows + 1)
    hz = np.sqrt(edges_hz[:-1] * edges_hz[1:])
    bin_hz = sample_rate / (2 * window)
    # Few bins a row at the bottom: interpolate. Many at the top: the mean of all, through a running sum.
    running = np.concatenate([np.zeros((frames, 1)), np.cumsum(power, axis=1)], axis=1)
    position = np.arange(running.shape[1]) * bin_hz
    widened = np.maximum(np.diff(edges_hz), bin_hz) / 2
    low, high = hz - widened + bin_hz / 2, hz + widened + bin_hz / 2
    rows_power = np.stack([np.interp(high, position, r) - np.interp(low, position, r) for r in running], 1)
    return 10.0 * np.log10(np.maximum(rows_power / (2 * widened)[:, None], 1e-20)), hz

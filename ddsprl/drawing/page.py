"""Parts of an HTML page that needs nothing else: style, tables, pictures, players, a meter.

    write_page(path, "Evaluation", [heading("Sounds"), table([...], [...]), *cards])

Every function returns HTML; texts are escaped here.
"""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from ddsprl.io.output import replacing

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #dfe3e8; --paper: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #343c48; --paper: #14181f; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1180px; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; }
p { color: var(--soft); max-width: 80ch; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
td:first-child { font-weight: 600; }
img { width: 100%; background: #fff; border-radius: 6px; }
.sounds { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .8rem;
  margin: .6rem 0; }
.sound { border: 1px solid var(--line); border-left: .35rem solid var(--mark, var(--soft));
  border-radius: 6px; padding: .5rem .7rem; }
.sound b { display: block; }
.sound span { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
audio { width: 100%; height: 2.2rem; margin-top: .35rem; }
meter { width: 100%; height: .9rem; }
"""


def write_page(path: Path, title: str, body: Sequence[str]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: of the HTML file.
        title: shown, and of the window.
        body: blocks of HTML.

    Raises:
        UserError: the file cannot be written.
    """
    name = html.escape(title)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{name}</title><style>{STYLE}</style>"
    )
    inside = "\n".join([f"<h1>{name}</h1>", *body])
    text = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{inside}\n</body></html>\n'
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """A paragraph."""
    return f"<p>{html.escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, which scrolls by itself where it is too wide."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    lines = ("".join(f"<td>{html.escape(text)}</td>" for text in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(content: bytes, description: str) -> str:
    """A PNG inside the page."""
    source = base64.b64encode(content).decode("ascii")
    return f'<img alt="{html.escape(description, quote=True)}" src="data:image/png;base64,{source}">'


def sound_card(
    name: str,
    said: str,
    sound: np.ndarray,
    sample_rate: int,
    *,
    colour: str | None = None,
    percent: float | None = None,
) -> str:
    """A name, a line below it, a player and perhaps a meter.

    Args:
        name: of the sound.
        said: about it.
        sound: `[n]`; beyond full scale it is clipped.
        sample_rate: in Hz.
        colour: of the card's edge.
        percent: of the meter, 0 to 100.
    """
    mark = f' style="--mark: {html.escape(colour, quote=True)}"' if colour else ""
    words = f"<b>{html.escape(name)}</b><span>{html.escape(said)}</span>"
    gauge = "" if percent is None else f'<meter min="0" max="100" value="{percent:.1f}"></meter>'
    player = f'<audio controls preload="none" src="{_wav_source(sound, sample_rate)}"></audio>'
    return f'<div class="sound"{mark}>{words}{gauge}{player}</div>'


def cards(parts: Sequence[str]) -> str:
    """Cards side by side."""
    return f'<div class="sounds">{"".join(parts)}</div>'


def _wav_source(sound: np.ndarray, sample_rate: int) -> str:
    """A 16-bit WAV as the address of itself."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound, -1.0, 1.0), sample_rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode("ascii")

"""`report.html`: one page that needs nothing else, with tables, curves, and sounds side by side."""

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ddsprl.comparison.curves import colour_of
from ddsprl.comparison.markdown import TITLES, Table, introduction, tables
from ddsprl.comparison.summary import Results
from ddsprl.io.atomic import replacing

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #dfe3e8; --paper: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #343c48; --paper: #14181f; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1180px; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { color: var(--soft); max-width: 75ch; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
td:first-child { font-weight: 600; }
img { width: 100%; background: #fff; border-radius: 6px; }
.sounds { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: .8rem; }
.sound { border: 1px solid var(--line); border-left: .35rem solid var(--mark, var(--soft));
  border-radius: 6px; padding: .5rem .7rem; }
.sound b { display: block; }
.sound span { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
audio { width: 100%; height: 2.2rem; margin-top: .35rem; }
"""

Sounds = Callable[[dict[str, Any]], np.ndarray]


def write_page(
    path: Path, results: Results, curves: Path, *, target_sounds: dict[str, np.ndarray], sound_of: Sounds
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        results: with the summary.
        curves: PNG file to show.
        target_sounds: `[n]` by name of the targets to be listened to.
        sound_of: the sound `[n]` of a run of `results["runs"]`.
    """
    blocks = [f"<section>{_table(table)}</section>" for table in tables(results)]
    picture = base64.b64encode(curves.read_bytes()).decode("ascii")
    body = [
        "<h1>Comparison</h1>",
        f"<p>{html.escape(introduction(results))}</p>",
        "<h2>Anytime</h2>",
        f'<img alt="Median excess against renders and seconds" src="data:image/png;base64,{picture}">',
        "<p>Curves: the largest budget, as the search hears itself, with the 95 % band of the median. "
        "Dots: judged results.</p>",
        *blocks,
        *_listening(results, target_sounds, sound_of),
        f"<h2>Where</h2><p>{html.escape(_place(results))}</p>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Comparison</title><style>{STYLE}</style>"
    )
    text = (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def chosen_targets(results: Results, count: int) -> list[str]:
    """Names of the targets to be listened to: spread evenly over each part."""
    parts = list(dict.fromkeys(target["part"] for target in results["targets"]))
    names = []
    for i, part in enumerate(parts):
        inside = [target["name"] for target in results["targets"] if target["part"] == part]
        share = min(len(inside), count // len(parts) + (i < count % len(parts)))
        places = np.linspace(0, len(inside) - 1, share).round().astype(int) if share else []
        names += [inside[place] for place in places]
    return names


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in table.header)
    rows = ("".join(f"<td>{html.escape(text)}</td>" for text in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    grid = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{html.escape(table.title)}</h2><div class="wide">{grid}</div>'


def _listening(results: Results, target_sounds: dict[str, np.ndarray], sound_of: Sounds) -> list[str]:
    """Every chosen target beside each method's result: the largest budget, the first seed."""
    if not target_sounds:
        return []
    rate, budget = results["options"]["sample_rate"], max(results["options"]["budgets"])
    about = f"Budget {budget:,}, first seed. All sounds at the level at which they were compared."
    blocks = [f"<h2>Listen</h2><p>{about}</p>"]
    for target in results["targets"]:
        name = target["name"]
        if name not in target_sounds:
            continue
        note = f"MIDI {target['midi']:.1f}, gate {target['gate_s']:.2f} s"
        best = target["references"]["best_4096"]["loss"]
        cards = [_card("target", f"best of 4,096 random: {best:.3f}", target_sounds[name], rate, None)]
        for run in results["runs"]:
            if (run["target"], run["budget"], run["seed"]) == (name, budget, 0):
                said = f"loss {run['loss']:.3f}, yardstick {run['yardstick']:.3f}"
                colour = colour_of(results, run["method"])
                cards.append(_card(run["method"], said, sound_of(run), rate, colour))
        title = f"{TITLES[target['part']]}: {name} ({note})"
        blocks.append(f'<h2>{html.escape(title)}</h2><div class="sounds">{"".join(cards)}</div>')
    return blocks


def _card(name: str, said: str, sound: np.ndarray, rate: int, colour: str | None) -> str:
    mark = f' style="--mark: {colour}"' if colour else ""
    source = f"data:audio/wav;base64,{_wav(sound, rate)}"
    words = f"<b>{html.escape(name)}</b><span>{html.escape(said)}</span>"
    return f'<div class="sound"{mark}>{words}<audio controls preload="none" src="{source}"></audio></div>'


def _wav(sound: np.ndarray, rate: int) -> str:
    """16-bit WAV in base64; what is beyond full scale is clipped."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound, -1.0, 1.0), rate, format="WAV", subtype="PCM_16")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _place(results: Results) -> str:
    machine, versions = results["machine"], results["versions"]
    where = ", ".join(f"{key} {value}" for key, value in machine.items())
    return f"{where}; " + ", ".join(f"{key} {value}" for key, value in versions.items())

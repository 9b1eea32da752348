"""Tables of a comparison, as Markdown and as rows for the page; nothing is computed here."""

from typing import Any

from ddsprl.comparison.summary import REFERENCES, Results, labels_of
from ddsprl.measuring.tables import Columns, Table, figures, interval_text, titled

TITLES = {"random": "Random presets", "bank": "The shipped presets", "recordings": "Recordings"}
# Field of a summary row, heading, and digits after the point.
COLUMNS = (
    ("loss_excess", "excess", 3),
    ("yardstick_excess", "yardstick excess", 3),
    ("loss_success", "at 1 %", 2),
    ("yardstick_success", "at 1 %, yardstick", 2),
    ("loss", "loss", 3),
    ("yardstick", "yardstick", 3),
    ("parameter_error", "parameter error", 3),
)
FIELD_COLUMNS = (
    ("mss", "MSS (dB)", 2),
    ("wmfcc", "wMFCC (dB)", 2),
    ("sot", "SOT", 4),
    ("rms_cosine", "RMS cosine", 3),
)
COST_COLUMNS = (
    ("renders", "renders", 0),
    ("gradients", "gradients", 0),
    ("gradient_cost", "a gradient as", 2),
    ("shared", "shared renders", 0),
    ("charged", "charged in all", 0),
    ("seconds", "seconds", 2),
)
TOTAL_COLUMNS = (
    ("failures", "not finite", 0),
    ("restarts", "restarts", 0),
    ("restored", "restored", 0),
    ("backed_off", "backed off", 0),
)


def tables(results: Results) -> list[Table]:
    """All tables, in order."""
    found: list[Table] = []
    for entry in results["summary"]:
        place = f"{TITLES[entry['part']]}, budget {entry['budget']:,}"
        found.append(_figures(entry, place))
        found.append(_plain(entry, f"{place}: metrics of the field", FIELD_COLUMNS))
        found.append(_plain(entry, f"{place}: what it cost, a target", COST_COLUMNS))
        found.append(_plain(entry, f"{place}: mishaps, all runs together", TOTAL_COLUMNS))
        found += _duels(entry, place)
    costs = _gradient_costs(results)
    return [*found, costs] if costs.rows else found


def markdown(results: Results) -> str:
    """The whole text of `table.md`."""
    return "\n\n".join(["# Comparison", introduction(results), *map(titled, tables(results))]) + "\n"


def introduction(results: Results) -> str:
    """What was compared, in a few sentences."""
    options = results["options"]
    rejected = ", ".join(f"{count} of the {part} presets" for part, count in results["rejected"].items())
    left = sum(sum(entry["left_out"].values()) for entry in results["summary"])
    lines = [
        f"{len(results['targets'])} targets, {options['seeds']} run{'s' * (options['seeds'] > 1)} each, "
        f"notes {options['notes']}, "
        f"{options['sample_rate']:,} Hz, seed {options['seed']}. Estimates are medians over targets (shares "
        "at the 1 % reference), in brackets 95 % bootstrap intervals over targets.",
        "Excess is (L - floor) / (L of the best of 4,096 random presets - floor), floor 0 for recordings. "
        "Losses are of the snapped preset, mean over 8 noise keys that no search has heard.",
    ]
    lines.append(
        "Mishaps: evaluations that were not finite; searches of an evolution strategy begun anew; replicas "
        "of hybrid put back because something was not finite, and because they diverged."
    )
    if rejected:
        lines.append(f"Too quiet, rejected: {rejected}.")
    if left:
        lines.append(
            "Targets whose reference is not above the floor are left out of the excess, for all methods."
        )
    return " ".join(lines)


def _figures(entry: dict[str, Any], place: str) -> Table:
    rows = [*entry["methods"].items(), *((REFERENCES[k], v) for k, v in entry["references"].items())]
    shown = [c for c in COLUMNS if any(row.get(c[0]) is not None for _, row in rows)]
    return Table(f"{place}, {entry['targets']} targets", *figures(rows, shown))


def _plain(entry: dict[str, Any], title: str, columns: Columns) -> Table:
    return Table(title, *figures(entry["methods"].items(), columns))


def _duels(entry: dict[str, Any], place: str) -> list[Table]:
    """Win rates of all pairs, and the ratio that was asked for."""
    found = []
    wins = zip(entry["wins"]["loss"], entry["wins"]["yardstick"], strict=True)
    rows = [
        [
            f"{by_loss['a']} over {by_loss['b']}",
            *(interval_text(x["rate"], 2) for x in (by_loss, by_yardstick)),
        ]
        for by_loss, by_yardstick in wins
    ]
    if rows:
        found.append(Table(f"{place}: wins on the same target", ["pair", "objective", "yardstick"], rows))
    if "ratio" in entry:
        ratio = entry["ratio"]
        texts = [interval_text(ratio[judge], 3) or "not defined" for judge in ("loss", "yardstick")]
        name = f"{ratio['of']} / {ratio['to']}"
        heading = ["median excess of", "objective", "yardstick"]
        found.append(Table(f"{place}: ratio of medians", heading, [[name, *texts]]))
    return found


def _gradient_costs(results: Results) -> Table:
    """A gradient in renders: charged, and measured in this run."""
    rows = []
    for label in labels_of(results):
        for cost in results["methods"][label]["gradient_cost"]:
            length = f"{cost['samples'] / results['options']['sample_rate']:g} s"
            figures = (f"{cost['measured']:.2f}", f"{cost['charged']:g}")
            rows.append([label, str(cost["batch"]), length, *figures, f"{1e3 * cost['score_s']:.3f}"])
    header = ["method", "batch", "clip", "measured", "charged", "one render (ms)"]
    return Table("Cost of a gradient, in renders of the same batch", header, rows)

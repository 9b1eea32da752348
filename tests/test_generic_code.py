"""Generic code knows no instrument: its name and its knobs stand in its own folder only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth_jax import INSTRUMENTS

ROOT = Path(__file__).resolve().parent.parent
ROOM = ROOT / "synth_jax" / "instruments"
# The registry with its front doors, and the default.
DOORS = {ROOM / "registry.py", ROOT / "synth_jax" / "__init__.py"}
KNOBS = {spec.name for make in INSTRUMENTS.values() for spec in make().table}
# Plain words, such as `level`, are anybody's.
TELLING = {name for name in KNOBS if "_" in name}
PREFIXES = {name[: i + 1] for name in TELLING for i, letter in enumerate(name) if letter == "_"}


def generic() -> list[Path]:
    files = [path for package in ("synth_jax", "ddsprl") for path in (ROOT / package).rglob("*.py")]
    own = [ROOM / name for name in INSTRUMENTS]
    return sorted(
        path for path in files if path not in DOORS and not any(path.is_relative_to(place) for place in own)
    )


def facts(text: str) -> Iterator[str]:
    """What a source says of one instrument: names of instruments, names of knobs and their beginnings."""
    tree = ast.parse(text)
    words = re.findall(r"\w+", text)
    yield from (name for name in INSTRUMENTS if "_" in name and name in words)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                name for name in INSTRUMENTS if node.module.startswith(f"synth_jax.instruments.{name}")
            )
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from TELLING & set(re.findall(r"\w+", node.value))
            if node.value in INSTRUMENTS or node.value in PREFIXES:
                yield node.value


@pytest.mark.parametrize("path", generic(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generic_code_knows_no_instrument(path):
    assert not sorted(set(facts(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('name = "sine"', {"sine"}),
        ("# of serum_lite", {"serum_lite"}),
        ("from synth_jax.instruments.sine import TABLE", {"sine"}),
        ('knobs["filter_cutoff"]', {"filter_cutoff"}),
        ('f"--lock {x}: such as filter_cutoff=800"', {"filter_cutoff"}),
        ('name.startswith("osc1_")', {"osc1_"}),
        ("def _noise_level(sine): ...", set()),
        ('level = knobs["level"]', set()),
    ],
)
def test_the_law_itself(text, found):
    assert set(facts(text)) == found

"""What a stored result depends on follows from the imports, in a copy of the tree where files are changed."""

import shutil
import time
from pathlib import Path

import pytest

from ddsprl.comparison.run import ENTRY as COMPARISON
from ddsprl.evaluation.run import ENTRY as EVALUATION
from ddsprl.io.sources import ROOT, closure, source_digest
from ddsprl.train import ENTRY as TRAINING

ENTRIES = {"comparison": COMPARISON, "evaluation": EVALUATION, "training": TRAINING}


@pytest.fixture
def tree(tmp_path) -> Path:
    """The packages, to be changed."""
    for name in ("ddsprl", "synth_jax", "presets"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("ddsprl/comparison/judging.py", {"comparison"}),
        ("ddsprl/comparison/suites.py", {"comparison"}),
        ("ddsprl/comparison/curves.py", set()),
        ("ddsprl/comparison/page.py", set()),
        ("ddsprl/comparison/markdown.py", set()),
        ("ddsprl/comparison/summary.py", set()),
        ("ddsprl/drawing/page.py", set()),
        ("ddsprl/drawing/style.py", set()),
        ("ddsprl/io/progress.py", {"training"}),
        ("ddsprl/evaluation/hearing.py", {"evaluation"}),
        ("ddsprl/evaluation/page.py", set()),
        ("ddsprl/evaluation/pictures.py", set()),
        ("ddsprl/evaluation/results.py", set()),
        ("ddsprl/evaluation/data/cma_es.json", {"evaluation"}),
        ("ddsprl/env/match/data/references.json", {"evaluation", "training"}),
        ("ddsprl/fitting/guess/data/serum_lite.npz", set(ENTRIES)),
        ("ddsprl/fitting/solvers/evolution.py", set(ENTRIES)),
        ("ddsprl/fitting/findings/data/reach.json", set()),
        ("ddsprl/losses/objective.py", set(ENTRIES)),
        ("ddsprl/matching/run.py", set()),
        ("ddsprl/training/curricula.py", {"training"}),
        ("ddsprl/training/options.py", set()),
        ("synth_jax/filters/svf.py", set(ENTRIES)),
    ],
)
def test_what_changes_a_digest(tree, path, matters):
    before = {name: closure(entry, root=tree) for name, entry in ENTRIES.items()}
    assert (tree / path).is_file()
    assert {name for name, files in before.items() if tree / path in files} == matters


def test_a_changed_file_of_the_closure_is_another_digest(tree):
    digest = source_digest.__wrapped__
    before = digest(COMPARISON, root=tree)
    assert before == source_digest(COMPARISON)
    with (tree / "ddsprl" / "comparison" / "page.py").open("a") as file:
        file.write("# changed")
    assert digest(COMPARISON, root=tree) == before
    with (tree / "ddsprl" / "comparison" / "judging.py").open("a") as file:
        file.write("# changed")
    assert digest(COMPARISON, root=tree) != before


def test_data_that_is_read_is_another_digest(tree):
    digest = source_digest.__wrapped__
    before = digest(COMPARISON, root=tree)
    with (tree / "ddsprl" / "fitting" / "guess" / "data" / "serum_lite.npz").open("ab") as file:
        file.write(b" ")
    guess = digest(COMPARISON, root=tree)
    assert guess != before
    next((tree / "presets").glob("*.json")).unlink()
    assert digest(COMPARISON, root=tree) != guess


def test_every_way_to_import_is_followed(tmp_path):
    package = tmp_path / "ddsprl"
    (package / "room" / "data").mkdir(parents=True)
    texts = {
        "__init__.py": "from ddsprl.unseen import x",
        "a.py": "import ddsprl.b\ndef f():\n    from ddsprl.room import g\n",
        "b.py": "try:\n    from . import c\nexcept ImportError:\n    import numpy\n",
        "c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ddsprl.unseen import x\n",
        "room/__init__.py": "from ddsprl.room.inside import function as g\nfrom ddsprl.unseen import x\n",
        "room/inside.py": "TABLE = open('data' + '/t.json')\n",
        "room/data/t.json": "{}",
        "unseen.py": "",
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    found = {file.relative_to(package).as_posix() for file in closure("ddsprl.a", root=tmp_path)}
    assert found == {"a.py", "b.py", "c.py", "room/inside.py", "room/data/t.json"}
    with pytest.raises(FileNotFoundError, match="no module"):
        closure("ddsprl.nowhere", root=tmp_path)


def test_it_is_fast():
    begun = time.process_time()
    closure(COMPARISON)
    assert time.process_time() - begun < 0.8

"""A run that was stopped, by whatever, goes on bit for bit: in other processes, from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl import train
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.run_log import read_log
from ddsprl.training.options import config_of
from ddsprl.training.trainer import prepared, status
from tests.training.tiny import RUN, damaged

pytestmark = pytest.mark.slow
# What a clock says.
WALL = ("wall_s", "steps_per_s", "evaluation_s", "demonstrations_s")
ROOT = Path(__file__).resolve().parents[2]
# What a process that is killed while it writes may leave.
CUT_OFF = b'{"kind": "tra'


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ddsprl.train", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=280)
    finally:
        process.kill()
    return process.returncode, said


def contents(run: Path):
    """Arrays and notes of the newest checkpoint, and the log, without what a clock says."""
    training = prepared(config_of(run))
    found = Checkpoints(run / "checkpoints").restore(training.loop_like().items)
    notes = {name: x for name, x in found.notes.items() if name not in ("wall_s", "log_bytes")}
    records = [{k: v for k, v in r.items() if k not in WALL} for r in read_log(run / "log.jsonl")]
    return found, notes, records


def assert_same(run: Path, other: Path) -> None:
    (a, notes, records), (b, other_notes, other_records) = contents(run), contents(other)
    assert notes == other_notes
    assert records == other_records
    pairs = zip(jax.tree_util.tree_leaves_with_path(a.items), jax.tree.leaves(b.items), strict=True)
    for (path, x), y in pairs:
        x, y = (jax.random.key_data(z) if jnp.issubdtype(z.dtype, jax.dtypes.prng_key) else z for z in (x, y))
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


def lost(run: Path) -> int:
    """Iterations that the log tells of beyond the newest checkpoint."""
    reached = max(record["iteration"] for record in read_log(run / "log.jsonl"))
    return reached - max(Checkpoints(run / "checkpoints").steps(), default=0)


def wait_for(condition, process) -> None:
    while not condition():
        assert process.poll() is None, "the run ended before it was stopped"
        time.sleep(0.002)


def test_a_whole_run_writes_what_it_should(whole):
    found, notes, records = contents(whole)
    kinds = [record["kind"] for record in records]
    assert kinds[:4] == ["demonstrations", "cloning", "cloning", "evaluation"]
    # The threshold is far above any loss, so that two evaluations promote; the first is not counted.
    assert [(r["seed"], r["iteration"]) for r in records if r.get("promoted")] == [(0, 12), (1, 12)]
    assert [r["stage"] for r in records if r["kind"] == "demonstrations"] == [1, 2]
    assert [state[0] for state in notes["curriculum"]] == [2, 2] and notes["iteration"] == found.step == 60
    assert kinds.count("train") == 2 * 20 and kinds.count("evaluation") == 2 * 11
    assert kinds.count("stage_1") == kinds.count("stage_2") == 2 * 11
    # The environment is differentiated, and what comes of it is learnt from.
    slopes = [r["reward_slope"] for r in records if r["kind"] == "train" and r["reward_slope"] is not None]
    assert slopes and all(slope > 0 for slope in slopes)
    assert list((whole / "audio").glob("*.wav"))
    loop = found.items["rest"]
    replay, demos, _ = loop.experience
    assert 0 < int(demos.filled[0]) <= demos.rows.reward.shape[1]
    # Rows of both stages, each with its mask and its teacher's choice.
    masks = np.asarray(replay.rows.free[0])[: int(replay.filled[0])]
    assert len(np.unique(masks, axis=0)) == 2
    assert not np.any(np.asarray(replay.rows.delta[0])[: len(masks)][~masks])
    assert np.any(np.asarray(replay.rows.labels.delta))
    assert json.loads((whole / "config.json").read_text())["config"]["loop"]["iterations"] == 60


def test_stopped_by_everything_in_turn(config, whole, tmp_path, capsys):
    """Ctrl-C and `kill -9` while it is prepared; an agreed stop, a request to end, `kill -9` after that."""
    run = tmp_path / "tiny-001"
    stopped_while_it_is_prepared(config, run)
    stopped_while_it_learns(run)
    name = damaged(run, "rest")
    assert train.main(["--resume", str(run)]) == 0
    assert name in capsys.readouterr().err
    assert_same(run, whole)


def stopped_while_it_is_prepared(config: Path, run: Path) -> None:
    log, stored = run / "log.jsonl", run / "demonstrations" / "stage_1.npz"
    kept = []
    given: tuple[object, ...] = ("--config", config, "--out", run.parent)
    for number in (signal.SIGINT, signal.SIGKILL):
        if log.exists():
            log.write_bytes(CUT_OFF)
        process = started(*given)
        # The log is cut to nothing before anything is prepared; cloning and an evaluation are yet to come.
        wait_for(lambda: stored.exists() and not log.read_bytes().startswith(CUT_OFF), process)
        process.send_signal(number)
        code, said = ended(process)
        assert not Checkpoints(run / "checkpoints").steps()
        kept.append((stored.stat().st_mtime_ns, stored.read_bytes()))
        if number == signal.SIGKILL:
            assert code == -number
        else:
            assert code == 128 + number, said
            last = said.strip().splitlines()[-1]
            assert last.startswith("interrupted") and last.endswith(
                f"go on with: python -m ddsprl.train --resume {run}"
            )
            assert "Traceback" not in said
        given = ("--resume", run)
    # Demonstrations are recorded once.
    assert kept[0] == kept[1]


def stopped_while_it_learns(run: Path) -> None:
    log, checkpoints = run / "log.jsonl", Checkpoints(run / "checkpoints")

    def trained() -> int:
        return log.read_bytes().count(b'"train"')

    code, said = ended(started("--resume", run, "--stop-at", 15))
    assert code == 0, said
    assert f"--resume {run}" in said
    assert checkpoints.steps()[-1] == 15
    seen = trained()
    process = started("--resume", run)
    wait_for(lambda: trained() > seen, process)
    process.send_signal(signal.SIGTERM)
    code, said = ended(process)
    assert code == 128 + signal.SIGTERM, said
    assert said.strip().splitlines()[-1].endswith(f"python -m ddsprl.train --resume {run}")
    last = checkpoints.steps()[-1]
    process = started("--resume", run)
    wait_for(lambda: checkpoints.steps()[-1] > last, process)
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    assert len(checkpoints.steps()) >= 2 and checkpoints.steps()[-1] < 60
    assert lost(run) <= RUN["log"]["checkpoint_every"]


def test_what_is_not_known_yet_is_said_in_words():
    begun = {"best_loss": None, "success_rate": None, "stage": 1, "steps_per_s": 0.0}
    later = {"best_loss": 1.2345, "success_rate": 0.25, "stage": 3, "steps_per_s": 318.4}
    assert status(begun, None) == "no episode ended yet, stage 1, 0 steps/s"
    assert status(begun | {"stage": 3}, later) == "loss 1.234, solved 25%, stage 3, 0 steps/s"
    assert status(later, later) == "loss 1.234, solved 25%, stage 3, 318 steps/s"

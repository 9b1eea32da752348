"""The log of a run: strict JSON lines, cut back to the byte, and the same numbers drawn."""

import json
import os
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.record_writer import masked_crc32c

from ddsprl.io import UserError, tensorboard
from ddsprl.io.run_log import RunLog, json_line, read_log, scalars_of


def lines(folder):
    return (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()


def strict(text):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def test_records_are_strict_json_lines(tmp_path):
    with RunLog(tmp_path, tensorboard=False) as log:
        rates = [np.float32(0.5), jnp.inf]
        log.write({"kind": "train", "iteration": 1, "loss": float("nan"), "rates": rates})
        by = {"é": jnp.arange(2)}
        log.write({"kind": "evaluation", "iteration": np.int64(2), "by": by, "ok": np.True_})
        assert [strict(line) for line in lines(tmp_path)] == [
            {"kind": "train", "iteration": 1, "loss": None, "rates": [0.5, None]},
            {"kind": "evaluation", "iteration": 2, "by": {"é": [0, 1]}, "ok": True},
        ]
        assert log.position() == os.path.getsize(tmp_path / "log.jsonl")
    log.close()
    assert read_log(tmp_path / "log.jsonl")[1]["iteration"] == 2
    assert os.listdir(tmp_path) == ["log.jsonl"]
    with pytest.raises(TypeError):
        json_line({"x": object()})


def test_cut_back_to_the_byte(tmp_path):
    with RunLog(tmp_path, tensorboard=False) as log:
        log.write({"kind": "train", "iteration": 1})
        position = log.position()
        log.write({"kind": "train", "iteration": 2})
    before = (tmp_path / "log.jsonl").read_bytes()
    # A process that was killed may leave half a line.
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(b'{"kind": "tra')
    assert [record["iteration"] for record in read_log(tmp_path / "log.jsonl")] == [1, 2]
    with RunLog(tmp_path, position=position, tensorboard=False) as log:
        assert log.position() == position
        log.write({"kind": "train", "iteration": 2})
    assert (tmp_path / "log.jsonl").read_bytes() == before
    with RunLog(tmp_path, position=0, tensorboard=False) as log:
        assert log.position() == 0
    assert (tmp_path / "log.jsonl").read_bytes() == b""


def test_what_does_not_fit_is_refused_and_left_alone(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'{"iteration": 1}\n')
    wrong = {None: "holds records already", 99: "has 17 bytes.* of 99", 5: "no line ends at byte 5"}
    for position, message in wrong.items():
        with pytest.raises(UserError, match=message):
            RunLog(tmp_path, position=position, tensorboard=False)
    assert (tmp_path / "log.jsonl").read_bytes() == b'{"iteration": 1}\n'
    with pytest.raises(UserError, match="cannot be opened"):
        RunLog(tmp_path / "nowhere", tensorboard=False)
    (tmp_path / "log.jsonl").write_bytes(b'{"iteration": 1}\n{"iter\n[1]\n')
    with pytest.raises(UserError, match="line 2 is not JSON"):
        read_log(tmp_path / "log.jsonl")


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ddsprl.io.run_log import RunLog
log = RunLog(Path(sys.argv[1]), tensorboard=False)
for iteration in range(50):
    log.write({"kind": "train", "iteration": iteration})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_a_kill(tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [record["iteration"] for record in read_log(tmp_path / "log.jsonl")] == list(range(50))


def test_scalars_are_named_by_kind_and_field():
    values = {"loss": [1.0, 2], "by": {"x": True}, "name": "text", "no": None}
    named = dict(scalars_of({"kind": "evaluation", "iteration": 5, **values}))
    assert named == {"evaluation/loss/0": 1.0, "evaluation/loss/1": 2.0, "evaluation/by/x": 1.0}
    assert np.isnan(dict(scalars_of({"loss": np.float32("nan")}))["loss"])


def events(folder):
    """Events of all files, oldest file first; the framing is checked with its sums."""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            assert int.from_bytes(data[8:12], "little") == masked_crc32c(data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def test_tensorboard_shows_the_same_and_forgets_what_was_cut(tmp_path):
    with RunLog(tmp_path) as log:  # where it is installed it is the default
        log.write({"kind": "train", "iteration": 3, "loss": 0.5})
        position = log.position()
        log.write({"kind": "train", "iteration": 6, "loss": 0.25})
        log.write({"kind": "note"})
    drawn = [
        (event.step, value) for event in events(tmp_path / "tensorboard") for value in event.summary.value
    ]
    shown = [(value.tag, value.simple_value, step) for step, value in drawn]
    assert shown == [("train/loss", 0.5, 3), ("train/loss", 0.25, 6)]
    with RunLog(tmp_path, position=position) as log:
        log.write({"kind": "train", "iteration": 6, "loss": 0.125})
    starts = [e.step for e in events(tmp_path / "tensorboard") if e.session_log.status == 1]
    assert starts == [4]


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    with RunLog(tmp_path) as log:
        log.write({"kind": "train", "iteration": 1})
    with pytest.raises(UserError, match=r"tensorboardX is not installed; pip install 'ddsprl\[logging\]'"):
        RunLog(tmp_path, position=0, tensorboard=True)
    with pytest.raises(UserError, match="wandb is not installed"):
        RunLog(tmp_path, position=0, wandb=True)
    assert os.listdir(tmp_path) == ["log.jsonl"]


def test_weights_and_biases_get_the_same(tmp_path, monkeypatch):
    told = []

    class Run:
        def log(self, values):
            told.append(values)

        def finish(self):
            told.append("end")

    class Package:
        @staticmethod
        def init(**settings):
            told.append(settings)
            return Run()

    monkeypatch.setitem(sys.modules, "wandb", Package)
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: object())
    with RunLog(tmp_path, tensorboard=False, wandb=True, name="run-001", config={"seed": 3}) as log:
        log.write({"kind": "train", "iteration": 7, "loss": 1.5})
    assert (told[0]["name"], told[0]["id"], told[0]["config"]) == ("run-001", "run-001", {"seed": 3})
    assert told[1:] == [{"train/loss": 1.5, "iteration": 7}, "end"]

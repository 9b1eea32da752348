"""Runs that take seconds: a short sound at a low rate, few terms, small networks, four episodes."""

import dataclasses
from pathlib import Path
from typing import Any

from ddsprl.env import make_matcher
from ddsprl.io.settings import override
from ddsprl.losses import ObjectiveConfig
from ddsprl.training import RunConfig, Training, make_agent
from tests.env.toy import toy, toy_config

# Few terms, for compiling is most of these tests' time.
OBJECTIVE = ObjectiveConfig(terms=("mr", "loud"), n_ffts=(256,), mel_n_fft=256)
SMALL: dict[str, Any] = {
    "agent": {
        "network": {"width": 8, "blocks": 1, "patch_features": 4, "patch_summary": 2},
        "batch": 8,
        "capacity": 256,
    },
    "loop": {"n_envs": 16, "iterations": 80, "learn_after": 192, "chunk": 10, "off_mode_share": 0.5},
    "curriculum": {"evaluate_every": 6, "evaluate_episodes": 4},
    "log": {"tensorboard": False},
}
# Of a synthesizer that has a name, for whole runs from the command line: everything switched on.
RUN: dict[str, Any] = SMALL | {
    "seeds": 2,
    "agent": SMALL["agent"]
    | {
        "kickstart": 1.0,
        "kickstart_half": 20,
        "goal_weight": 0.5,
        "opening": 1,
        "imitation_batch": 4,
        "reward_gradient": 1.0,
    },
    "env": {
        "sample_rate": 8_000,
        "duration_s": 0.125,
        "steps": 6,
        "bucket": 8,
        "epsilon": 0.5,
        "objective": {"terms": ["mr", "loud"], "n_ffts": [256], "mel_n_fft": 256},
    },
    "loop": SMALL["loop"] | {"n_envs": 4, "iterations": 60, "learn_after": 12, "chunk": 3, "cut": 0.1},
    "warm": {
        "demonstrations": 2,
        "solver": "cma_es",
        "budget": 64,
        "clone_steps": 2,
        "clone_batch": 8,
    },
    "curriculum": SMALL["curriculum"]
    | {
        "last_stage": 2,
        "patience_evaluations": 2,
        "threshold": 100.0,
        "rehearsal": 0.5,
        "refresh_every": 15,
        "evaluate_all": True,
    },
    "log": {"name": "tiny", "every": 3, "checkpoint_every": 6, "tensorboard": False, "snapshots_every": 12},
}


def toy_training(**changes: Any) -> Training:
    """Programs for the toy instrument, with other values by dotted names."""
    config = dataclasses.replace(
        override(RunConfig(), SMALL, where="test"), env=toy_config(stage=1, steps=5, history=False)
    )
    config = override(
        config, {name.replace("__", "."): value for name, value in changes.items()}, where="test"
    )
    settings: Any = config.env
    env = make_matcher(settings, instrument=toy())
    config = dataclasses.replace(config, env=env.config)
    return Training(config, env, make_agent(config, env))


def damaged(run: Path, item: str) -> str:
    """Flip a bit in an item of the newest checkpoint; the checkpoint's name."""
    newest = sorted((run / "checkpoints").glob("[0-9]*"))[-1]
    victim = max((p for p in (newest / item).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    return newest.name

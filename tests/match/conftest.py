"""Runs of the command line, as a user's: in a process of their own, with a cache folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).resolve().parents[2]
TRUMPET = ROOT / "tests" / "data" / "targets" / "gm_trumpet_67.wav"
QUICK = ("--sample-rate", "8000", "--max-seconds", "0.25", "--budget", "400", "--midi", "67")


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """The library's cache is empty; compiled code is shared with the tests in this process."""
    compiled = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    settings = {"DDSPRL_CACHE_DIR": str(tmp_path_factory.mktemp("cache")), "JAX_PLATFORMS": "cpu"}
    if compiled:
        settings["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
    return {**os.environ, **settings, "PYTHONWARNINGS": "error::DeprecationWarning:ddsprl"}


@pytest.fixture(scope="session")
def start(environment):
    """Starts `python -m ddsprl.match` with some arguments; returns the process."""

    def run(*arguments) -> subprocess.Popen[str]:
        command, pipe = [sys.executable, "-m", "ddsprl.match", *map(str, arguments)], subprocess.PIPE
        return subprocess.Popen(command, env=environment, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)

    return run


@pytest.fixture(scope="session")
def matched(start, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """One whole run on a shipped recording, with a knob locked: the output folder, and how it ended."""
    out = tmp_path_factory.mktemp("matched") / "out"
    locks = ("--lock", "filter_cutoff=800", "--lock", "osc1_unison=3")
    process = start(TRUMPET, "--out", out, *QUICK, *locks, "--seed", "5")
    stdout, stderr = process.communicate(timeout=280)
    return out, subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

"""One whole tiny run for all tests of runs, trained once."""

import fcntl
import os
from pathlib import Path

import pytest
import yaml

from ddsprl import train
from tests.training.tiny import RUN


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RUN), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def whole(config, tmp_path_factory) -> Path:
    """In one go, in this process, which fills the compilation cache for others; not to be written to.

    Where tests run in several processes, the first that needs it trains it for all.
    """
    out = tmp_path_factory.getbasetemp()
    out = (out.parent if "PYTEST_XDIST_WORKER" in os.environ else out) / "whole"
    out.mkdir(exist_ok=True)
    done = out / "done"
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            assert train.main(["--config", str(config), "--out", str(out), "--quiet"]) == 0
            done.touch()
    return out / "tiny-001"

"""One whole tiny run for all tests of runs, trained once."""

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
    """In one go, in this process, which fills the compilation cache for others; not to be written to."""
    out = tmp_path_factory.mktemp("whole")
    assert train.main(["--config", str(config), "--out", str(out), "--quiet"]) == 0
    return out / "tiny-001"

"""One toy environment and one of the synthesizer for all tests, so that each is compiled once."""

import pytest

from ddsprl.env import EnvConfig
from tests.env.toy import OBJECTIVE, Made, toy, toy_config


@pytest.fixture(scope="session")
def made() -> Made:
    return Made(toy_config(), toy())


@pytest.fixture(scope="session")
def synth() -> Made:
    return Made(
        EnvConfig(
            sample_rate=8_000,
            duration_s=0.125,
            probes=2,
            steps=6,
            stage=5,
            bucket=4,
            epsilon=0.1,
            objective=OBJECTIVE,
        )
    )

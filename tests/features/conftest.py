"""Signals and reference values shared by the feature tests."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

DATA = Path(__file__).parent.parent / "data"
REFERENCE = DATA / "reference"
SIGNALS = ("sine", "harmonic", "noise", "chirp", "decay", "tremolo", "quiet", "silence")


@pytest.fixture(scope="session")
def librosa_values() -> dict[str, np.ndarray]:
    """Arrays by `<signal>/<feature>`."""
    with np.load(REFERENCE / "librosa.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="session")
def pyloudnorm_values() -> dict[str, float | None]:
    """Integrated loudness in LUFS by signal name."""
    return json.loads((REFERENCE / "pyloudnorm.json").read_text())["values"]


@pytest.fixture(scope="session")
def signals() -> dict[str, np.ndarray]:
    """The reference signals: 0.5 s, 16 kHz, mono."""
    return {
        name: soundfile.read(REFERENCE / "signals" / f"{name}.wav", dtype="float32")[0] for name in SIGNALS
    }

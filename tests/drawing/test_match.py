"""The report picture: a PNG of the promised size, for ordinary and for awkward contents."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

import ddsprl.drawing.match
from ddsprl.drawing.match import match_png
from ddsprl.drawing.style import VERDICTS, log_spectrogram_db

TARGETS = Path(__file__).parents[1] / "data" / "targets"


def report_arguments():
    target, sample_rate = soundfile.read(TARGETS / "gm_trumpet_67.wav", dtype="float32")
    match, _ = soundfile.read(TARGETS / "amsynth_0_60.wav", dtype="float32")
    steps = np.arange(0, 1000, 50)
    loss = 1 + 3 * np.exp(-steps / 200)
    return {
        "heading": {
            "title": "trumpet",
            "subtitle": "serum_lite, 1 s at 16 kHz",
            "facts": {"midi": "67.02", "gate": "0.70 s", "loss": "1.1"},
            "remark": "Matched worse than all others: probably out of reach. " * 5,
        },
        "sounds": {"sample_rate": sample_rate, "target": target, "match": match},
        "course": {
            "references": {"best of 512 random": 2.5},
            "curve": {"relaxed": (steps, loss), "snapped": (steps, loss + 0.1)},
        },
        "terms": {
            "match": {"mr_stft": 0.6, "mfcc": 0.3, "loudness": 0.1},
            "reference": {"mr_stft": 1.5, "mfcc": 0.7, "loudness": 0.3},
        },
        "rises": {f"knob_{i}": 0.5 - 0.03 * i for i in range(25)},
    }


def drawn(**contents) -> np.ndarray:
    return imread(io.BytesIO(match_png(**contents)))


def test_report_is_a_png_of_the_promised_size_and_has_no_side_effects():
    style = dict(matplotlib.rcParams)
    image = drawn(**report_arguments())
    assert image.shape[:2] == (1160, 1600)
    # Something is drawn in each quarter: spectrograms above, curve and bars below.
    for quarter in (image[150:700, :800], image[150:700, 800:], image[760:, :800], image[760:, 800:]):
        assert quarter[..., :3].std() > 0.05
    assert dict(matplotlib.rcParams) == style


def test_report_of_awkward_contents():
    image = drawn(
        heading={"title": "5$ and 6$ \u97f3 " + "long " * 40, "subtitle": ""},
        sounds={"sample_rate": 16_000, "target": np.zeros(8000), "match": np.zeros(100)},
        course={
            "references": {},
            "curve": {"relaxed": ([], []), "snapped": ([3], [np.inf])},
            "noise_floor": 0.2,
        },
        terms={"match": {f"term_{i}": 0.1 * i for i in range(14)}, "reference": {}},
    )
    assert image.shape[:2] == (1160, 1600)


def test_what_the_monitor_said_is_drawn_below_the_loss():
    """As much of each colour as there was of each verdict, on the loss curve's own axis."""
    said = ["stable"] * 6 + ["plateau"] * 3 + ["diverging"]
    counts = []
    for verdicts in ((range(95, 951, 95), said), None):
        contents = report_arguments()
        contents["course"]["verdicts"] = verdicts
        image = np.round(255 * drawn(**contents)[760:, :560, :3]).astype(int)
        colours = [tuple(int(code[i : i + 2], 16) for i in (1, 3, 5)) for code in VERDICTS.values()]
        # A row of the band, not its legend.
        counts.append([(image == colour).all(axis=-1).sum(axis=1).max() for colour in colours])
    band, nothing = counts
    assert max(nothing) < 10
    np.testing.assert_allclose(np.divide(band, sum(band)), [0.6, 0.3, 0.1], atol=0.02)


def test_log_spectrogram_peaks_where_the_tone_is():
    sample_rate = 16_000
    samples = np.sin(2 * np.pi * 1000 * np.arange(sample_rate) / sample_rate)
    level, hz = log_spectrogram_db(samples, sample_rate)
    assert level.shape[0] == hz.size
    assert abs(12 * np.log2(hz[np.argmax(level[:, level.shape[1] // 2])] / 1000)) < 0.5
    middle = level[:, level.shape[1] // 2]
    assert middle.max() - middle[np.argmin(np.abs(hz - 200))] > 60


def test_other_small_terms_are_added_up():
    terms = {f"t{i}": float(20 - i) for i in range(12)}
    shown, reference = ddsprl.drawing.match._largest(terms, {"t0": 1.0})
    assert len(shown) == 9 and list(shown)[0] == "t0" and list(shown)[-1] == "4 others"
    assert sum(shown.values()) == pytest.approx(sum(terms.values()))
    assert reference["t0"] == 1.0 and list(reference) == list(shown)

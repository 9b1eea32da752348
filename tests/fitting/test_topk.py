"""Presets that differ, by hand."""

import numpy as np
import pytest

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.findings.topk import distinct_indices, knob_distance, sound_distance, sound_floor

LOSS = np.array([0.3, 0.1, 0.2, 0.5, BAD_LOSS])
U = np.array([[0.9, 0.9], [0.1, 0.1], [0.12, 0.1], [0.1, 0.9], [0.5, 0.5]])
SOUNDS = np.array([[[5.0, 5.0]], [[0.0, 0.0]], [[9.0, 0.0]], [[0.0, 0.5]], [[7.0, 7.0]]])


def chosen(**changes):
    settings = {"count": 3, "least_sound": 1.0, "least_knobs": 0.05} | changes
    return distinct_indices(LOSS, U, SOUNDS, **settings)


def test_distinct_in_knobs_and_in_sound():
    # 2 is like 1 in knobs, 3 like 1 in sound, 4 was never taken.
    assert chosen() == [1, 0]
    assert chosen(least_knobs=0.0) == [1, 2, 0]
    assert chosen(least_sound=0.1) == [1, 0, 3]
    assert chosen(count=1) == [1]
    assert distinct_indices(np.full(5, BAD_LOSS), U, SOUNDS, count=2, least_sound=0.0) == []


def test_distances():
    assert knob_distance(U[0], U[1]) == pytest.approx(0.8)
    assert sound_distance(SOUNDS[2], SOUNDS[1]) == 4.5
    assert sound_floor(np.array([0.0, 1.0, 3.0])) == pytest.approx((1 + 3 + 2) / 3)

"""Envelopes to the sample, against a plain step-by-step implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth_jax.modulators import Adsr, adsr


def envelope(rate: int, gate_s: float, *, seconds: float = 1.0, **knobs: float) -> np.ndarray:
    time_s = jnp.arange(round(rate * seconds), dtype=jnp.float32) * (1.0 / rate)
    return np.asarray(
        adsr(time_s, jnp.float32(gate_s), Adsr(**{k: jnp.float32(v) for k, v in knobs.items()}))
    )


def held(t: float, attack_s: float, decay_s: float, sustain: float) -> float:
    """Level while the key is down, case by case."""
    if t < attack_s:
        return t / attack_s
    if t < attack_s + decay_s:
        return sustain + (1 - sustain) * (1 - (t - attack_s) / decay_s) ** 2
    return sustain


def by_cases(rate, gate_s, *, seconds=1.0, attack_s, decay_s, sustain, release_s) -> np.ndarray:
    level = []
    for t in np.arange(round(rate * seconds)) / rate:
        if t <= gate_s:
            level.append(held(t, attack_s, decay_s, sustain))
        elif t < gate_s + release_s:
            level.append(held(gate_s, attack_s, decay_s, sustain) * (1 - (t - gate_s) / release_s) ** 2)
        else:
            level.append(0.0)
    return np.array(level)


CASES = [
    {"attack_s": 0.001, "decay_s": 0.1, "sustain": 0.5, "release_s": 0.2},
    {"attack_s": 0.3, "decay_s": 0.4, "sustain": 0.0, "release_s": 0.02},
    {"attack_s": 0.1, "decay_s": 2.0, "sustain": 0.9, "release_s": 4.0},
    {"attack_s": 2.0, "decay_s": 0.005, "sustain": 1.0, "release_s": 0.1},
]


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("knobs", CASES)
@pytest.mark.parametrize("gate_s", [0.0, 0.0505, 0.4])
def test_agrees_with_the_cases(rate, knobs, gate_s):
    np.testing.assert_allclose(envelope(rate, gate_s, **knobs), by_cases(rate, gate_s, **knobs), atol=2e-4)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_attack_of_a_millisecond_peaks_a_millisecond_in(rate):
    level = envelope(rate, 0.5, attack_s=0.001, decay_s=0.005, sustain=0.0, release_s=0.1)
    peak = rate // 1000
    assert level[0] == 0.0
    assert np.argmax(level) == peak
    assert level[peak] == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(level[: peak + 1], np.arange(peak + 1) / peak, atol=1e-5)
    # Decay of 5 ms: over at 6 ms, not before.
    assert level[6 * peak - 1] > 0.0
    assert np.abs(level[6 * peak :]).max() < 1e-9


@pytest.mark.parametrize("gate_s", [0.05, 0.15, 0.4])
def test_release_takes_its_full_time_from_any_level_without_a_jump(gate_s):
    rate, knobs = 16_000, {"attack_s": 0.1, "decay_s": 0.2, "sustain": 0.3, "release_s": 0.25}
    level, at, last = envelope(rate, gate_s, **knobs), round(rate * gate_s), round(rate * (gate_s + 0.25))
    assert level[at] == pytest.approx(held(gate_s, 0.1, 0.2, 0.3), abs=1e-4)
    assert abs(level[at + 1] - level[at]) < 2.5 * level[at] / (0.25 * rate)
    middle = level[(at + last) // 2]
    assert middle == pytest.approx(level[at] / 4, rel=1e-2)
    assert level[last - 2] > 0.0
    assert np.all(level[last + 1 :] == 0.0)


def test_gradient_agrees_with_differences_and_is_finite_on_corners():
    with jax.enable_x64(True):
        time_s, direction = (
            jnp.arange(400) / 1000.0,
            jnp.asarray(np.random.default_rng(0).standard_normal(400)),
        )

        def value(v):
            return jnp.vdot(direction, adsr(time_s, v[0], Adsr(*v[1:])))

        v = jnp.array([0.25037, 0.05071, 0.10013, 0.4, 0.12077])
        shift = 1e-6 * jnp.eye(5)
        numeric = (jax.vmap(value)(v + shift) - jax.vmap(value)(v - shift)) / 2e-6
        np.testing.assert_allclose(jax.grad(value)(v), numeric, rtol=1e-5)
        on_corners = jnp.array([0.15, 0.05, 0.1, 0.4, 0.1])
        assert np.all(np.isfinite(jax.grad(value)(on_corners)))

"""What a sound cannot tell: knobs of an oscillator that is turned down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.findings.sensitivity import sensitivities
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.posterior.sampling import KnobNames, PosteriorConfig, sample_posterior
from ddsprl.losses.objective import ObjectiveConfig
from synth_jax import Note


@pytest.mark.slow
def test_knobs_of_a_silent_oscillator_are_untellable():
    config = ObjectiveConfig(terms=("mr", "loud"), n_ffts=(256,), mel_n_fft=256)
    problem = make_problem(8_000, 0.1, objective=config)
    synth = problem.instrument
    names = [spec.name for spec in synth.table]
    silent, heard = (
        ("osc2_wave_morph", "osc2_detune_cents", "osc2_unison"),
        ("osc1_wave_morph", "filter_cutoff"),
    )
    free = jnp.asarray([float(name in silent + heard) for name in names])
    u = jnp.asarray(synth.default).at[names.index("osc2_level")].set(0.0)
    u = u.at[names.index("osc1_wave_morph")].set(0.4)
    note, key = Note(60.0, 0.08, 1.0), jax.random.key(2)
    audio = jax.jit(synth.render)(u, Note(*map(jnp.float32, note)), key)
    target = jax.jit(lambda audio: problem.target(audio, note, free=free, locked=u))(audio)
    targets = jax.tree.map(lambda x: x[None], target)
    starts = jax.random.uniform(key, (1, 6, len(names)))
    sampler = PosteriorConfig((0.05, 0.2), chains=6, jumps=8, warm=16, cycles=64)
    found = sample_posterior(problem, targets, starts, key[None], KnobNames(tuple(names)), config=sampler)[0]
    assert set(found.untellable) == set(silent)
    for name in heard:
        i = names.index(name)
        assert found.width[i] < 0.5
        assert found.low[i] <= u[i] <= found.high[i]
    locked = np.asarray(free) == 0.0
    np.testing.assert_allclose(
        found.samples[:, locked], np.asarray(u)[locked][None].repeat(6 * 64, 0), atol=1e-6
    )
    # The sensitivity says the same of the preset itself.
    felt = sensitivities(problem, targets, np.asarray(u)[None], key[None]).increase[0]
    assert all(abs(felt[names.index(name)]) < 1e-5 for name in silent)
    assert all(felt[names.index(name)] > 1e-3 for name in heard)

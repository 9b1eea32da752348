"""Weights over progress, and a search that follows them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.core.archive import DISTINCT
from ddsprl.fitting.core.stages import COARSE, STAGES, Stage, solve_in_stages, staged_weights
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.solvers.gradient import MultiStartAdam
from ddsprl.losses import TERMS, ObjectiveConfig, ObjectiveWeights
from synth_jax import Note


def values(weights):
    return np.array([float(getattr(weights, name)) for name in TERMS])


def test_the_end_is_exactly_the_default():
    for progress in (1.0, STAGES[-1].progress):
        assert (
            values(staged_weights(progress)).tolist()
            == values(jax.tree.map(jnp.float32, ObjectiveWeights())).tolist()
        )
    np.testing.assert_allclose(values(staged_weights(0.0)), values(COARSE), rtol=1e-6)
    assert float(staged_weights(0.0).mr) == 0.0


def test_weights_are_interpolated_between_stages():
    stages = (Stage(0.2, ObjectiveWeights(mr=0.0)), Stage(0.6, ObjectiveWeights(mr=2.0)))
    mr = [float(staged_weights(p, stages).mr) for p in (0.0, 0.2, 0.3, 0.6, 1.0)]
    np.testing.assert_allclose(mr, [0.0, 0.0, 0.5, 2.0, 2.0], atol=1e-6)


def test_progress_is_traced():
    traces = []

    @jax.jit
    def run(progress):
        traces.append(0)
        return staged_weights(progress).mr

    np.testing.assert_allclose([run(0.0), run(0.35), run(1.0)], [0.0, 0.5, 1.0], atol=1e-6)
    assert len(traces) == 1


def test_wrong_stages_are_refused():
    with pytest.raises(ValueError, match="in order of progress"):
        staged_weights(0.5, ())
    with pytest.raises(ValueError, match="in order of progress"):
        staged_weights(0.5, STAGES[::-1])


def test_a_staged_search_ends_with_losses_of_the_whole_objective():
    config = ObjectiveConfig(terms=("loud", "cent", "envelope"), n_ffts=(256,), mel_n_fft=256)
    problem = make_problem(8_000, 0.05, instrument="sine", objective=config)
    note = Note(60.0, 0.05, 1.0)
    sound = problem.instrument.render(
        jnp.asarray([0.6, 0.8]), Note(*map(jnp.float32, note)), jax.random.key(0)
    )
    target = problem.target(sound, note, weights=ObjectiveWeights())
    targets = jax.tree.map(lambda x: x[None], target)
    starts = np.array([[[0.45, 0.3], [0.7, 0.5]]], np.float32)
    keys = jax.random.split(jax.random.key(1), 1)
    found = solve_in_stages(problem, MultiStartAdam(members=2), targets, starts, keys, budget=700)
    alone = problem.scores(found.u[0, :1], target, keys[0])
    # Rounding is relative to the terms, which are far from 0, not to what is left of them.
    np.testing.assert_allclose(found.loss[0, 0], alone[0], rtol=1e-4, atol=1e-5)
    begin = problem.scores(jnp.asarray(starts[0]), target, keys[0]).min()
    assert found.loss[0, 0] < 0.5 * begin
    # Best first; where fewer distinct presets were met than there are places, near copies come after them.
    spread = np.sqrt(np.mean(np.square(found.u[0][:, None] - found.u[0][None]), axis=-1))
    distinct = ~(np.tril(spread < DISTINCT, -1).any(axis=1))
    assert distinct.sum() >= 2 and (np.diff(distinct.astype(int)) <= 0).all()
    assert (np.diff(found.loss[0][distinct]) >= 0.0).all()
    with pytest.raises(ValueError, match="under 10 legs"):
        solve_in_stages(problem, MultiStartAdam(), targets, starts, keys, budget=100)
    assert ObjectiveWeights() == STAGES[-1].weights

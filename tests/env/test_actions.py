"""Actions: bounds, masks, clamping, and how a small delta moves a snapped knob."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import make_env, stage_params
from ddsprl.env.match import actions
from synth_jax.params import module_of_knob, modules_of

KEY = jax.random.key(0)


def test_every_knob_answers_to_its_own_module_only(synth):
    table = synth.env.instrument.table
    for m in range(4):
        action = {"module": jnp.asarray(m), "delta": jnp.ones(synth.d)}
        move = actions.decode(action, jnp.ones(synth.d), jnp.float32(0.1), table)
        expected = [0.1 if spec.module == modules_of(table)[m] else 0.0 for spec in table]
        np.testing.assert_allclose(move, expected, atol=1e-8)


def test_noise_and_master_belong_to_the_oscillators(synth):
    table = {spec.name: spec.module for spec in synth.env.instrument.table}
    assert table["noise_level"] == table["master_volume"] == "OSC"


def test_locked_knobs_stay(synth):
    params, _ = stage_params(synth.env, 2, split="held_out", count=4)
    _, state = synth.reset_at(KEY, params, jnp.asarray(0))
    for m in range(4):
        action = {"module": jnp.asarray(m), "delta": jnp.ones(synth.d)}
        state = synth.step(KEY, state, action, params).state
    moved = np.asarray(state.u != synth.env.instrument.default)
    assert not np.any(moved & (np.asarray(params.free) == 0.0))
    assert np.any(moved)


@pytest.mark.parametrize("size", [5.0, 1.0, np.inf])
def test_a_delta_is_bounded(made, size):
    action = {"module": jnp.asarray(0), "delta": jnp.full(made.d, size)}
    move = actions.decode(action, jnp.ones(made.d), jnp.float32(0.1), made.env.instrument.table)
    assert float(jnp.abs(move).max()) == pytest.approx(0.1)


def test_positions_are_clamped_and_the_applied_move_is_what_was_left():
    u, applied = actions.apply(jnp.asarray([0.95, 0.02, 0.5]), jnp.asarray([0.1, -0.1, 0.1]))
    np.testing.assert_allclose(u, [1.0, 0.0, 0.6], atol=1e-7)
    np.testing.assert_allclose(applied, [0.05, -0.02, 0.1], atol=1e-7)


def test_pushing_against_a_stop_costs_nothing_and_changes_nothing(made):
    _, state = made.reset_at(KEY, made.cold, jnp.asarray(0))
    at_stop = state._replace(u=state.u.at[made.index("level")].set(1.0))
    found = made.step(KEY, at_stop, made.act(0, level=1.0), made.cold)
    np.testing.assert_array_equal(found.info["applied"], 0.0)
    assert found.info["reward"]["move"] == 0.0


def test_small_deltas_move_a_snapped_knob_after_some_steps(made):
    """Seven choices, so half a step is 1/12 of the range: deltas of 0.02 cross it at the fifth."""
    _, state = made.reset_at(KEY, made.cold, jnp.asarray(0))
    i = made.index("osc1_unison")
    small = 0.02 / float(made.cold.delta_max)
    heard, shown = [], []
    for _ in range(10):
        found = made.step(KEY, state, made.act(0, osc1_unison=small), made.cold)
        state = found.state
        heard.append(round(1 + 6 * float(made.env.instrument.snap(state.u)[i])))
        shown.append(float(found.obs["knobs"][i]))
    assert heard == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(shown, 0.02 * np.arange(1, 11), atol=1e-5)
    # Nothing is heard before the crossing, and what is heard is a whole number of voices.
    losses = np.asarray(state.history.loss[: 10 + 1])
    np.testing.assert_array_equal(losses[:5], losses[0])
    assert losses[5] != losses[4]
    np.testing.assert_array_equal(losses[5:11], losses[5])


def test_a_large_delta_moves_a_snapped_knob_at_once(made):
    _, state = made.reset_at(KEY, made.cold, jnp.asarray(0))
    found = made.step(KEY, state, made.act(0, osc1_unison=1.0), made.cold)
    assert round(1 + 6 * float(made.env.instrument.snap(found.state.u)[made.index("osc1_unison")])) == 2


def test_a_masked_module_moves_nothing(synth):
    params, _ = stage_params(synth.env, 1, split="held_out", count=4)
    _, state = synth.reset_at(KEY, params, jnp.asarray(0))
    for m in (1, 2, 3):
        found = synth.step(KEY, state, {"module": jnp.asarray(m), "delta": jnp.ones(synth.d)}, params)
        np.testing.assert_array_equal(found.state.u, state.u)
        np.testing.assert_array_equal(found.obs["modules"], [1.0, 0.0, 0.0, 0.0])


def test_flat_actions(made):
    selector, mask = made.env.action, jnp.asarray(module_of_knob(made.env.instrument.table) != 1, float)
    flat = jnp.concatenate([jnp.asarray([0.1, 0.9, 0.3, -0.2]), jnp.linspace(-1, 1, made.d)])
    action = selector.from_flat(flat, mask)
    assert action["module"] == 2  # the highest logit is masked
    np.testing.assert_array_equal(action["delta"], flat[4:])
    for m in range(4):
        given = {"module": jnp.asarray(m), "delta": flat[4:]}
        logits = jnp.where(jnp.arange(4) == m, 1.0, -1.0)
        again = selector.from_flat(jnp.concatenate([logits, flat[4:]]), jnp.ones(made.d))
        assert again["module"] == m
        np.testing.assert_array_equal(again["delta"], given["delta"])


def test_absolute_actions_name_positions(made):
    """In one step, the unlocked knobs of the chosen module only."""
    table = made.env.instrument.table
    u, delta = jnp.linspace(0.1, 0.9, made.d), jnp.linspace(-1.5, 1.0, made.d)
    free = jnp.ones(made.d).at[0].set(0.0)
    for m in range(4):
        move = actions.decode_absolute({"module": jnp.asarray(m), "delta": delta}, u, free, table)
        after, _ = actions.apply(u, move)
        chosen = (module_of_knob(table) == m) & (np.asarray(free) > 0)
        wanted = np.where(chosen, np.clip((np.asarray(delta) + 1.0) / 2.0, 0.0, 1.0), u)
        np.testing.assert_allclose(after, wanted, atol=1e-6)


def test_the_environment_obeys_absolute_actions(made):
    env = dataclasses.replace(made.env, config=dataclasses.replace(made.env.config, action="absolute"))
    _, state = made.reset_at(KEY, made.cold, jnp.asarray(0))
    state = jax.jit(env.step)(KEY, state, made.act(0, level=0.8), made.cold).state
    assert float(state.u[made.index("level")]) == pytest.approx(0.9)
    assert float(state.u[made.index("noise_level")]) == pytest.approx(0.5)


def test_an_unknown_action_mode_is_refused():
    with pytest.raises(ValueError, match="did you mean 'absolute'"):
        make_env({"action": "absolut"})

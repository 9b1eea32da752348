"""What networks see of an observation: shapes, levels, allowed modules, the last one of an episode."""

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.observing import action_spec, parts, seen_of, seen_spec, transition_of
from ddsprl.agents.replay import PICTURE_HIGH, PICTURE_LOW
from ddsprl.env.match.actions import module_mask
from ddsprl.env.match.observation import layout
from ddsprl.env.match.types import Timestep
from synth_jax import INSTRUMENTS

SYNTH = INSTRUMENTS["serum_lite"](16_000, 0.5)
FIELDS = layout(SYNTH, 1)


def observation(seed: int, n: int) -> dict[str, jax.Array]:
    rng = np.random.default_rng(seed)
    return {field.name: jnp.asarray(rng.random((n, *field.shape)), jnp.float32) for field in FIELDS}


def test_the_layouts_shapes_are_those_of_what_is_seen():
    spec, seen = seen_spec(FIELDS), seen_of(observation(0, 3))
    assert jax.tree.map(lambda x: x.shape[1:], seen) == jax.tree.map(jnp.shape, spec.zeros())
    assert spec.picture == (64, 44)


def test_the_replays_levels_span_the_range_that_the_environment_states():
    ranges = {(field.low, field.high) for field in FIELDS if field.name in ("current", "target")}
    assert ranges == {(PICTURE_LOW, PICTURE_HIGH)}


def test_a_module_is_allowed_as_in_the_environment():
    spec = action_spec(SYNTH.table)
    assert spec.knobs == SYNTH.n_params
    for seed in range(4):
        free = (np.random.default_rng(seed).random(SYNTH.n_params) < 0.1).astype(np.float32)
        np.testing.assert_array_equal(spec.allowed(free).modules, module_mask(jnp.asarray(free), SYNTH.table))


def test_of_an_ended_episode_its_last_observation_counts():
    before, first, last = (observation(seed, 2) for seed in range(3))
    ended, cut = jnp.array([True, False]), jnp.array([False, True])
    step = Timestep(first, None, jnp.ones(2), ended, cut, {"final_obs": last})  # pyright: ignore[reportArgumentType]
    found = transition_of(before, jnp.zeros(2, int), jnp.zeros((2, SYNTH.n_params)), step)
    np.testing.assert_array_equal(found.next_seen.current, last["current"])
    np.testing.assert_array_equal(found.next_seen.rest, seen_of(last).rest)
    np.testing.assert_array_equal(found.terminated, ended)
    plain = transition_of(before, found.module, found.delta, step._replace(info={}))
    np.testing.assert_array_equal(plain.next_seen.current, first["current"])


def test_with_a_finite_horizon_time_is_seen_and_a_time_limit_is_an_end():
    rest = parts(finite_horizon=True)
    assert seen_spec(FIELDS, rest).rest == seen_spec(FIELDS).rest + 1
    before, after = observation(0, 2), observation(1, 2)
    np.testing.assert_array_equal(seen_of(before, rest).rest[:, -1:], before["time"])
    ended, cut = jnp.array([True, False]), jnp.array([False, True])
    step = Timestep(after, None, jnp.ones(2), ended, cut, {})  # pyright: ignore[reportArgumentType]
    arguments = (before, jnp.zeros(2, int), jnp.zeros((2, SYNTH.n_params)), step)
    np.testing.assert_array_equal(transition_of(*arguments, rest).terminated, [True, True])
    np.testing.assert_array_equal(transition_of(*arguments).terminated, [True, False])


def test_a_guess_is_seen_where_the_environment_has_one():
    with_guess, rest = layout(SYNTH, 1, guess=True), parts(finite_horizon=False, guess=True)
    assert seen_spec(with_guess, rest).rest == seen_spec(FIELDS).rest + 2 * SYNTH.n_params
    assert parts(finite_horizon=True, guess=True) == (*parts(finite_horizon=False), "guess", "time")

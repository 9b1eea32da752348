"""What networks see of an observation: shapes, levels, allowed modules, the last one of an episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.observing import action_spec, seen_of, seen_spec, sight_of, transition_of
from ddsprl.agents.replay import PICTURE_HIGH, PICTURE_LOW
from ddsprl.env import EnvConfig, Field, ObservationSpec, Timestep, Vector, make_matcher
from ddsprl.env.match.actions import module_mask

ENV = make_matcher(EnvConfig())
SYNTH, SPEC = ENV.instrument, ENV.observation
FIELDS, SIGHT = SPEC.fields, sight_of(SPEC)


STILL = ENV.action.compose(jnp.zeros(2, int), jnp.zeros((2, SYNTH.n_params)))


def observation(seed: int, n: int) -> dict[str, jax.Array]:
    rng = np.random.default_rng(seed)
    return {field.name: jnp.asarray(rng.random((n, *field.shape)), jnp.float32) for field in FIELDS}


def test_the_layouts_shapes_are_those_of_what_is_seen():
    spec, seen = seen_spec(SPEC, SIGHT), seen_of(observation(0, 3), SIGHT)
    assert jax.tree.map(lambda x: x.shape[1:], seen) == jax.tree.map(jnp.shape, spec.zeros())
    assert spec.picture == (64, 44)


def test_the_replays_levels_span_the_range_that_the_environment_states():
    ranges = {(field.low, field.high) for field in FIELDS if field.name in ("current", "target")}
    assert ranges == {(PICTURE_LOW, PICTURE_HIGH)}


def test_a_module_is_allowed_as_in_the_environment():
    spec = action_spec(ENV.action)
    assert spec.knobs == SYNTH.n_params
    for seed in range(4):
        free = (np.random.default_rng(seed).random(SYNTH.n_params) < 0.1).astype(np.float32)
        np.testing.assert_array_equal(spec.allowed(free).modules, module_mask(jnp.asarray(free), SYNTH.table))


def test_of_an_ended_episode_its_last_observation_counts():
    before, first, last = (observation(seed, 2) for seed in range(3))
    ended, cut = jnp.array([True, False]), jnp.array([False, True])
    step = Timestep(first, None, jnp.ones(2), ended, cut, {"final_obs": last})
    found = transition_of(before, STILL, step, ENV.action, SIGHT)
    np.testing.assert_array_equal(found.next_seen.current, last["current"])
    np.testing.assert_array_equal(found.next_seen.rest, seen_of(last, SIGHT).rest)
    np.testing.assert_array_equal(found.terminated, ended)
    plain = transition_of(before, STILL, step._replace(info={}), ENV.action, SIGHT)
    np.testing.assert_array_equal(plain.next_seen.current, first["current"])


def test_with_a_finite_horizon_time_is_seen_and_a_time_limit_is_an_end():
    finite = sight_of(SPEC, finite_horizon=True)
    assert seen_spec(SPEC, finite).rest == seen_spec(SPEC, SIGHT).rest + 1
    before, after = observation(0, 2), observation(1, 2)
    np.testing.assert_array_equal(seen_of(before, finite).rest[:, -1:], before["time"])
    ended, cut = jnp.array([True, False]), jnp.array([False, True])
    arguments = (before, STILL, Timestep(after, None, jnp.ones(2), ended, cut, {}), ENV.action)
    np.testing.assert_array_equal(transition_of(*arguments, finite).terminated, [True, True])
    np.testing.assert_array_equal(transition_of(*arguments, SIGHT).terminated, [True, False])
    untimed = ObservationSpec(FIELDS, ("knobs",))
    with pytest.raises(ValueError, match="does not observe the time"):
        sight_of(untimed, finite_horizon=True)


def test_a_guess_is_seen_where_the_environment_has_one():
    spec = make_matcher(EnvConfig(guess=True)).observation
    sight = sight_of(spec)
    assert seen_spec(spec, sight).rest == seen_spec(SPEC, SIGHT).rest + 2 * SYNTH.n_params
    assert sight_of(spec, finite_horizon=True).vectors == (*SIGHT.vectors, "guess", "time")
    first = seen_spec(spec, sight).guess
    assert first == (seen_spec(SPEC, SIGHT).rest, 3)
    # Where actions name positions there is no going towards it.
    absolute = make_matcher(EnvConfig(guess=True, action="absolute")).observation
    assert absolute.guess is None and absolute.vectors == spec.vectors


def test_a_plain_vector_is_one_module_and_needs_no_pictures():
    spec = ObservationSpec((Field("where", (2,), -1.0, 1.0, 0),), ("where",))
    assert seen_spec(spec, sight_of(spec)).zeros().current is None
    actions = action_spec(Vector(3))
    assert (actions.modules, actions.knobs) == (1, 3)
    group, numbers = Vector(3).split(jnp.ones((5, 3)))
    np.testing.assert_array_equal(group, np.zeros(5))
    np.testing.assert_array_equal(Vector(3).compose(group, numbers), np.ones((5, 3)))

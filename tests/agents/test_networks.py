"""Actor and critics: shapes, bars on locked modules, and what each output depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.encoder import NetworkConfig, patches
from ddsprl.agents.networks import Actor, TwinCritic
from ddsprl.agents.types import ActionSpec, Seen

CONFIG = NetworkConfig(width=16, blocks=1, patch=4)
SPEC = ActionSpec(3, (0, 2, 0, 1, 2))
FREE = [1.0, 1.0, 0.0, 0.0, 1.0]
ALLOWED = SPEC.allowed(FREE)


def observation(seed: int) -> Seen:
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(-1, 2, (2, 8, 6)).astype(np.float32)
    return Seen(
        jnp.asarray(rng.normal(size=3), jnp.float32), jnp.asarray(pictures[0]), jnp.asarray(pictures[1])
    )


@pytest.fixture(scope="module")
def critic():
    network = TwinCritic(SPEC, CONFIG)
    params = jax.jit(network.init)(jax.random.key(0), observation(0), jnp.zeros(5), ALLOWED)
    return jax.jit(lambda seen, delta: network.apply(params, seen, delta, ALLOWED))


@pytest.fixture(scope="module")
def actor():
    network = Actor(SPEC, CONFIG)
    return network, jax.jit(network.init)(jax.random.key(0), observation(0), ALLOWED)


@pytest.fixture(scope="module")
def policy(actor):
    network, params = actor
    return jax.jit(lambda seen: network.apply(params, seen, ALLOWED))


def test_a_module_may_be_chosen_when_something_in_it_is_unlocked():
    np.testing.assert_array_equal(ALLOWED.modules, [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(SPEC.per_module(jnp.arange(1.0, 6.0), ALLOWED), [1.0, 0.0, 7.0])
    found = SPEC.per_module(jnp.array([1.0, 1.0, jnp.nan, jnp.inf, 1.0]), ALLOWED)
    np.testing.assert_array_equal(found, [1.0, 0.0, 2.0])


def test_a_value_sees_its_own_unlocked_deltas_alone(critic):
    slopes = np.asarray(jax.jacobian(critic, argnums=1)(observation(1), jnp.full(5, 0.3)))
    sees = SPEC.belongs * np.asarray(FREE, np.float32)
    assert slopes.shape == (2, 3, 5)
    assert np.all((slopes != 0.0) == (sees > 0))


def test_twins_differ_and_both_see_everything(critic):
    q = critic(observation(1), jnp.zeros(5))
    assert q.shape == (2, 3)
    assert np.all(np.abs(q[0] - q[1]) > 0)
    slopes = jax.jacobian(critic)(observation(1), jnp.zeros(5))
    for name, slope in slopes._asdict().items():
        assert np.all(np.any(np.asarray(slope) != 0, axis=(0, 1))), name


def test_a_new_policy_is_broad_and_barred_modules_have_no_chance(policy):
    for seed in range(3):
        found = policy(observation(seed))
        np.testing.assert_allclose(jnp.exp(found.log_module), [0.5, 0.0, 0.5], atol=0.1)
        np.testing.assert_allclose(found.delta.mean, 0.0, atol=0.5)
        np.testing.assert_allclose(found.delta.log_std, np.log(0.5), atol=0.7)


@pytest.mark.parametrize(
    ("push", "bound"), [(100.0, CONFIG.highest_log_std), (-100.0, CONFIG.lowest_log_std)]
)
def test_spreads_are_bounded(actor, push, bound):
    network, params = actor
    far = params["params"] | {"delta": jax.tree.map(lambda x: x + push, params["params"]["delta"])}
    far["delta"]["kernel"] = params["params"]["delta"]["kernel"]
    log_std = network.apply({"params": far}, observation(1), ALLOWED).delta.log_std
    np.testing.assert_allclose(log_std, bound, atol=1e-4)


def test_patches_are_squares_of_the_padded_picture():
    picture = np.random.default_rng(0).normal(size=(8, 6, 3)).astype(np.float32)
    found = np.asarray(patches(jnp.asarray(picture), 4)).reshape(2, 2, 4, 4, 3)
    padded = np.pad(picture, ((0, 0), (0, 2), (0, 0)), mode="edge")
    for row in range(2):
        for column in range(2):
            square = padded[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            np.testing.assert_array_equal(found[row, column], square)

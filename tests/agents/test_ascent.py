"""The reward's own gradient as a lesson: it is the gradient of the mean reward, and it teaches."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.ascent import STEEPEST, Ascent, ascent_loss, usable
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.sac import Sac, SacConfig
from ddsprl.agents.types import ActionSpec, Seen, SeenSpec, Transition

ACTIONS = ActionSpec(2, (0, 1, 1, 1))
AGENT = Sac(SacConfig(network=NetworkConfig(width=8, blocks=1)), ACTIONS, SeenSpec(3))
# The last knob is locked.
ALLOWED = ACTIONS.allowed([1.0, 1.0, 1.0, 0.0])
KEY, N = jax.random.key(3), 16
SEEN = Seen(jax.random.normal(jax.random.key(4), (N, 3)))
MODULE = jnp.arange(N) % 2
EVERY = jax.tree.map(lambda x: jnp.broadcast_to(x, (N, *x.shape)), ALLOWED)


def played(actor):
    """What a loop does: modules as given, deltas drawn."""
    keys = jax.random.split(KEY, N)

    def one(key, seen, module):
        delta = AGENT.policy(actor, seen, ALLOWED).delta.sample(key).value
        return ACTIONS.shown(delta, ALLOWED)[module]

    return keys, jax.vmap(one)(keys, SEEN, MODULE)


def reward(deltas):
    """Of every row its own; what is best depends on what is seen."""
    return -jnp.sum(jnp.square(deltas - 0.5 * jnp.tanh(SEEN.rest[:, :1])), axis=1)


@pytest.fixture(scope="module")
def actor():
    return jax.jit(AGENT.init)(KEY).actor


def test_its_gradient_is_that_of_the_mean_reward(actor):
    """With the whole slope of tanh, that is; what is learnt from keeps one factor of it."""
    keys, deltas = played(actor)
    slope = jax.grad(lambda x: reward(x).sum())(deltas) * (1.0 - jnp.square(deltas))
    steps = Ascent(keys, SEEN, EVERY, MODULE, slope)
    found = jax.grad(lambda a: ascent_loss(lambda *x: AGENT.policy(a, *x), steps, ACTIONS))(actor)
    wanted = jax.grad(lambda a: -jnp.mean(reward(played(a)[1])))(actor)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(found)) > 1e-3


def test_steps_downhill_on_it_raise_the_reward(actor):
    @jax.jit
    def step(actor):
        keys, deltas = played(actor)
        slope = jax.grad(lambda x: reward(x).sum())(deltas)
        steps = Ascent(keys, SEEN, EVERY, MODULE, slope)
        push = jax.grad(lambda a: ascent_loss(lambda *x: AGENT.policy(a, *x), steps, ACTIONS))(actor)
        return jax.tree.map(lambda x, g: x - 0.3 * g, actor, push), jnp.mean(reward(deltas))

    rewards = []
    for _ in range(60):
        actor, found = step(actor)
        rewards.append(float(found))
    assert rewards[-1] > 0.5 * rewards[0]


def test_an_update_goes_uphill_by_its_weight_and_by_nothing_else(actor):
    """Critics that do not lead, no teacher: the slopes alone may move the actor, and the way they point."""
    config = SacConfig(network=NetworkConfig(width=8, blocks=1), reward_gradient=2.0, actor_rate=1e-3)
    agent = Sac(config, ACTIONS, SeenSpec(3))
    state = jax.jit(agent.init)(KEY)
    _, deltas = played(state.actor)
    batch = Transition(SEEN, MODULE, deltas, jnp.zeros(N), jnp.zeros(N, bool), SEEN)
    keys = jax.random.split(KEY, N)
    uphill = Ascent(keys, SEEN, EVERY, MODULE, jax.grad(lambda x: reward(x).sum())(deltas))
    update = jax.jit(functools.partial(agent.update, lead=0.0))
    still, _ = update(KEY, state, batch, ALLOWED)
    chex.assert_trees_all_equal(still.actor, state.actor)
    before, after = float(jnp.mean(reward(deltas))), []
    for sign in (1.0, -1.0):
        moved, metrics = update(KEY, state, batch, ALLOWED, played=uphill._replace(slope=sign * uphill.slope))
        after.append(float(jnp.mean(reward(played(moved.actor)[1]))))
        assert metrics["reward_slope"] > 0
    assert after[0] > before > after[1]


def test_slopes_are_finite_bounded_and_of_the_policys_own_draws():
    slope = jnp.asarray([[3.0, 4.0], [0.03, 0.04], [jnp.nan, 0.1], [jnp.inf, 0.0], [0.3, 0.4]])
    found = np.asarray(usable(slope, jnp.zeros((5, 2)), jnp.asarray([1.0, 1.0, 1.0, 1.0, 0.0])))
    np.testing.assert_allclose(found[0], np.array([0.6, 0.8]) * STEEPEST, rtol=1e-5)
    np.testing.assert_allclose(found[1], [0.03, 0.04], rtol=1e-5)
    np.testing.assert_array_equal(found[2:], 0.0)


def test_a_knob_at_its_stop_may_come_back_and_goes_no_further():
    delta = jnp.asarray([[0.999, -0.999, 0.0]])
    outwards, inwards = jnp.asarray([[0.1, -0.1, 0.1]]), jnp.asarray([[-0.1, 0.1, -0.1]])
    drawn = jnp.ones(1)
    np.testing.assert_allclose(usable(outwards, delta, drawn), [[1e-4, -1e-4, 0.1]], rtol=1e-3)
    np.testing.assert_allclose(usable(inwards, delta, drawn), [[-0.1999, 0.1999, -0.1]], rtol=1e-3)

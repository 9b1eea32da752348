"""Cloning: a loss with known values, finite where tanh is not, and an actor that does as it was shown."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from ddsprl.agents import seen_of, sight_of
from ddsprl.agents.distributions import TanhNormal, masked_log_softmax
from ddsprl.agents.imitation import BLUR, MOST_RAW, goal_loss, score
from ddsprl.agents.networks import Policy
from ddsprl.agents.types import ActionSpec, Labels
from ddsprl.env import evaluate
from ddsprl.io import UserError
from ddsprl.training.demonstrations.cloning import Lessons, clone, mean_score, split
from ddsprl.training.demonstrations.recording import Demonstrations
from tests.training.warm import EPISODES, agent, easy, made, recorded

# The second module's last knob is locked; the third module is barred.
ACTIONS = ActionSpec(3, (0, 1, 1, 2))
ALLOWED = ACTIONS.allowed([1.0, 1.0, 0.0, 0.0])
LOGITS = jnp.array([0.3, -0.4, 2.0])
MEAN, LOG_STD = jnp.array([0.2, -0.5, 0.1, 0.9]), jnp.array([-0.3, 0.1, -1.0, 0.4])


def policy(logits=LOGITS, mean=MEAN, log_std=LOG_STD) -> Policy:
    normals = TanhNormal(mean, log_std)
    return Policy(masked_log_softmax(logits, ALLOWED.modules), normals, normals)


def test_loss_of_one_example_is_that_of_scipy():
    delta = np.array([0.3, -0.8, 0.5, 0.0])
    found = score(policy(), Labels(jnp.asarray(1), jnp.asarray(delta)), ACTIONS, ALLOWED)
    module = -scipy.special.log_softmax(np.asarray(LOGITS)[:2])[1]
    raw, mean, std = np.arctanh(delta), np.asarray(MEAN), np.exp(np.asarray(LOG_STD))
    density = scipy.stats.norm.logpdf(raw, mean, std) - np.log(1.0 - delta**2)
    each = -density + 0.5 * BLUR**2 / std**2
    np.testing.assert_allclose(found.module_nll, module, rtol=1e-5)
    # Only the unlocked knob of the second module.
    np.testing.assert_allclose(found.delta_nll, each[1], rtol=1e-5)
    np.testing.assert_allclose(found.nll, module + each[1], rtol=1e-5)
    np.testing.assert_allclose(found.delta_error, abs(np.tanh(mean[1]) - delta[1]), rtol=1e-5)
    assert float(found.module_right) == 0.0
    label = Labels(jnp.asarray(1), jnp.asarray(delta))
    every = score(policy(), label, ACTIONS, ALLOWED, every_module=True)
    np.testing.assert_allclose(every.nll, module + 0.5 * (each[0] + each[1]), rtol=1e-5)


def test_the_blur_is_an_average_over_noise():
    noise = np.random.default_rng(0).normal(size=200_000) * BLUR
    raw, mean, std = np.arctanh(0.4), float(MEAN[0]), np.exp(float(LOG_STD[0]))
    sampled = -scipy.stats.norm.logpdf(raw + noise, mean, std).mean() + np.log(1.0 - 0.4**2)
    label = Labels(jnp.asarray(0), jnp.array([0.4, 0.0, 0.0, 0.0]))
    found = score(policy(), label, ACTIONS, ALLOWED)
    np.testing.assert_allclose(found.delta_nll, sampled, rtol=2e-3)


@pytest.mark.parametrize("edge", [-1.0, 1.0])
@pytest.mark.parametrize("log_std", [-5.0, 1.0])
def test_full_speed_has_a_finite_loss_and_slope(edge, log_std):
    label = Labels(jnp.asarray(1), jnp.full(4, edge))

    def loss(mean, spread):
        return score(policy(mean=mean, log_std=spread), label, ACTIONS, ALLOWED).nll

    value, slopes = jax.value_and_grad(loss, argnums=(0, 1))(MEAN, jnp.full(4, log_std))
    assert np.isfinite(value)
    assert all(np.isfinite(x).all() for x in slopes)
    # Towards the edge is downhill; knobs that are locked, barred or of another module feel nothing.
    assert float(slopes[0][1]) * edge < 0.0
    assert np.flatnonzero(np.asarray(slopes[0])).tolist() == [1]
    there = loss(jnp.full(4, edge * MOST_RAW), jnp.full(4, np.log(BLUR)))
    assert float(there) < float(value)


def test_the_spread_that_fits_best_is_never_below_the_blur():
    label = Labels(jnp.asarray(0), jnp.array([0.5, 0.0, 0.0, 0.0]))
    exact = MEAN.at[0].set(np.arctanh(0.5))

    def slope(log_std):
        return jax.grad(lambda x: score(policy(mean=exact, log_std=x), label, ACTIONS, ALLOWED).nll)(log_std)[
            0
        ]

    assert float(slope(jnp.full(4, np.log(BLUR)))) == pytest.approx(0.0, abs=1e-4)
    assert float(slope(jnp.full(4, np.log(0.5 * BLUR)))) < 0.0


@pytest.mark.parametrize("goal", [False, True])
def test_gradients_against_finite_differences(goal):
    """Of a choice that is obeyed, and of one that is foretold."""
    with jax.enable_x64(True):
        given = np.concatenate([np.asarray(x, np.float64) for x in (LOGITS, MEAN, LOG_STD)])
        label = Labels(jnp.asarray(1), jnp.array([0.9, 1.0, -0.2, 0.4], jnp.float64))

        @jax.jit
        def loss(x):
            found = policy(x[:3], x[3:7], x[7:])
            if goal:
                return goal_loss(found, label, ACTIONS, ALLOWED)
            return score(found, label, ACTIONS, ALLOWED, every_module=True).nll

        slope = jax.grad(loss)(jnp.asarray(given))
        for i, step in enumerate(1e-6 * np.eye(given.size)):
            measured = float(loss(jnp.asarray(given + step)) - loss(jnp.asarray(given - step))) / 2e-6
            np.testing.assert_allclose(slope[i], measured, rtol=1e-5, atol=1e-7)


@pytest.fixture(scope="module")
def cloned():
    """An agent before and after cloning, and what it says of itself."""
    sac, (params, _, demos) = agent(), easy()
    before = sac.init(jax.random.key(0))
    after, metrics = clone(
        sac,
        before,
        demos,
        jax.random.key(1),
        allowed=sac.actions.allowed(params.free),
        lessons=Lessons(300, 64, 3e-3, held_out=0.25),
    )
    return before, after, metrics


def test_whole_episodes_are_held_out():
    demos = recorded()
    train, test = split(demos, 0.25)
    held = demos.episode >= EPISODES - round(0.25 * EPISODES)
    assert (train.rest.shape[0], test.rest.shape[0]) == ((~held).sum(), held.sum())
    np.testing.assert_array_equal(test.labels.module, demos.labels.module[held])
    about = dataclasses.replace(demos.about, episodes=1)
    with pytest.raises(UserError, match="1 episode"):
        split(Demonstrations(demos.rows, demos.episode * 0, about), 0.25)


def test_cloning_lowers_the_held_out_loss(cloned):
    before, after, metrics = cloned
    sac, (params, _, demos) = agent(), easy()
    allowed = sac.actions.allowed(params.free)
    _, test = split(demos, 0.25)
    measure = jax.jit(functools.partial(mean_score, sac))
    first, last = (measure(x.actor, test, allowed) for x in (before, after))
    np.testing.assert_allclose(first.nll, metrics["first_nll"], rtol=1e-4)
    np.testing.assert_allclose(last.nll, metrics["nll"], rtol=1e-4)
    assert float(last.nll) < float(first.nll) - 0.5
    assert float(last.module_nll) < float(first.module_nll)
    # Most of the demonstrator's modules, on targets never seen.
    assert float(last.module_right) > max(0.6, np.bincount(test.labels.module).max() / len(test.rest))
    assert 0 < int(metrics["kept_at"]) <= 300


def test_cloning_leaves_everything_but_the_actor(cloned):
    before, after, _ = cloned
    for name in before._fields:
        if name != "actor":
            jax.tree.map(np.testing.assert_array_equal, getattr(before, name), getattr(after, name))


def test_the_cloned_actor_beats_doing_nothing(cloned):
    sac, (params, cold, _) = agent(), easy()
    allowed, sight = sac.actions.allowed(params.free), sight_of(made().env.observation)

    @jax.jit
    def run(state, still):
        def policy(key, obs, _):
            chosen = sac.act(key, state, seen_of(obs, sight), allowed, greedy=True)
            return {"module": chosen.module, "delta": jnp.where(still, 0.0, chosen.delta)}

        return evaluate(made().env, policy, jax.random.key(7), cold, count=EPISODES)

    honest, idle = run(cloned[1], False), run(cloned[1], True)
    assert np.median(honest.best_loss) < 0.7 * np.median(idle.best_loss)
    assert np.median(honest.last_loss) < 0.8 * np.median(idle.last_loss)


def test_no_steps_change_nothing():
    sac = agent()
    state = sac.init(jax.random.key(0))
    allowed = sac.actions.allowed(made().params.free)
    none = Lessons(0, 8, 1e-3)
    same, metrics = clone(sac, state, recorded(), jax.random.key(1), allowed=allowed, lessons=none)
    jax.tree.map(np.testing.assert_array_equal, same, state)
    assert float(metrics["nll"]) == float(metrics["first_nll"])

"""Values against enumeration and quadrature, gradients against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import integrate, special, stats

from ddsprl.agents.distributions import TanhNormal, masked_log_softmax
from ddsprl.agents.sac import losses
from ddsprl.agents.sac.losses import Entropies, Temperatures
from ddsprl.agents.types import ActionSpec, Allowed

HOT = Temperatures(jnp.log(0.7), jnp.log(0.3))
NO_DELTAS = jnp.zeros(3)
STATES, MODULES, GAMMA = 4, 3, 0.8


def mdp(seed: int):
    """Rewards `[s, m]`, next-state probabilities `[s, m, s]` and ends `[s, m, s]` of a random problem."""
    rng = np.random.default_rng(seed)
    following = rng.dirichlet(np.ones(STATES), (STATES, MODULES))
    ends = rng.random((STATES, MODULES, STATES)) < 0.3
    return rng.normal(size=(STATES, MODULES)), following, ends


@jax.jit
def sweep(q, log_pi, rewards, following, ends):
    """One application of the soft Bellman operator by the agent's own functions, expectation enumerated."""
    v = jax.vmap(lambda q, log_pi: losses.soft_value(jnp.stack([q, q + 1.0]), log_pi, NO_DELTAS, HOT))(
        q, log_pi
    )
    y = losses.td_target(rewards[:, :, None], ends, v, GAMMA)
    return jnp.sum(following * y, axis=-1), v


def test_soft_values_of_a_fixed_policy_are_those_of_the_linear_system():
    rewards, following, ends = mdp(0)
    pi = np.random.default_rng(1).dirichlet(np.ones(MODULES), STATES)
    # V = sum_m pi (r + gamma P (1 - end) V) + a H(pi), solved at once.
    stay = np.einsum("sm,smn->sn", pi, following * ~ends)
    paid = np.sum(pi * rewards, axis=1) + 0.7 * stats.entropy(pi, axis=1)
    expected = np.linalg.solve(np.eye(STATES) - GAMMA * stay, paid)
    q, v = jnp.zeros((STATES, MODULES)), jnp.zeros(STATES)
    for _ in range(80):
        q, v = sweep(q, jnp.log(pi), rewards, following, ends)
    np.testing.assert_allclose(v, expected, rtol=1e-4, atol=1e-5)


def test_soft_values_of_the_best_policy_are_those_of_value_iteration():
    """V = a log sum exp(Q / a) for the best policy, exp(Q / a) normalized; a barred module counts nowhere."""
    rewards, following, ends = mdp(2)
    rewards[:, 1] += 10.0
    mask = np.array([1.0, 0.0, 1.0])
    expected = np.zeros(STATES)
    for _ in range(200):
        exact = rewards + GAMMA * np.einsum("smn,smn,n->sm", following, ~ends, expected)
        expected = 0.7 * np.asarray(special.logsumexp(exact / 0.7, b=mask, axis=1))
    q, v = jnp.zeros((STATES, MODULES)), jnp.zeros(STATES)
    for _ in range(80):
        log_pi = jax.vmap(masked_log_softmax, (0, None))(q / 0.7, jnp.asarray(mask))
        q, v = sweep(q, log_pi, rewards, following, ends)
    np.testing.assert_allclose(v, expected, rtol=1e-4, atol=1e-5)


def test_hybrid_soft_value_is_the_integral():
    """Two modules with a knob each, Q_m = b_m - (delta - g_m)^2: mean of draws against quadrature."""
    mean, std = np.array([0.3, -0.6]), np.array([0.5, 0.9])
    goal, bonus, pi = np.array([0.5, 0.1]), np.array([0.2, -0.4]), np.array([0.3, 0.7])
    expected = 0.0
    for m in range(2):

        def integrand(raw, m=m):
            density = stats.norm.pdf(raw, mean[m], std[m])
            log_delta = np.log(density) - np.log1p(-np.square(np.tanh(raw)))
            q = bonus[m] - np.square(np.tanh(raw) - goal[m])
            return density * (q - 0.3 * log_delta)

        expected += pi[m] * integrate.quad(integrand, mean[m] - 6 * std[m], mean[m] + 6 * std[m])[0]
    expected += 0.7 * stats.entropy(pi)
    policy = TanhNormal(jnp.asarray(mean, jnp.float32), jnp.log(jnp.asarray(std, jnp.float32)))
    spec = ActionSpec(2, (0, 1))

    def one(key):
        drawn = policy.sample(key)
        q = bonus - jnp.square(drawn.value - goal)
        log_delta = spec.per_module(drawn.log_prob, spec.allowed([1.0, 1.0]))
        return losses.soft_value(jnp.stack([q + 0.1, q]), jnp.log(pi), log_delta, HOT)

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 40_000)))
    assert found.mean() == pytest.approx(expected, abs=float(4 * found.std() / 200))


def test_a_locked_knob_adds_nothing_to_the_density():
    spec = ActionSpec(2, (0, 0, 1))
    log_prob = jnp.array([1.5, jnp.inf, -0.5])
    np.testing.assert_array_equal(spec.per_module(log_prob, spec.allowed([1, 0, 1])), [1.5, -0.5])
    slope = jax.grad(lambda x: spec.per_module(x, spec.allowed([1, 0, 1])).sum())(log_prob)
    np.testing.assert_array_equal(slope, [1.0, 0.0, 1.0])


def test_a_time_limit_counts_what_follows_and_an_end_does_not():
    assert losses.td_target(jnp.array(1.0), jnp.array(False), jnp.array(10.0), 0.9) == pytest.approx(10.0)
    assert losses.td_target(jnp.array(1.0), jnp.array(True), jnp.array(10.0), 0.9) == 1.0


Q = jnp.array([[0.3, -1.0, 2.0], [0.5, -1.4, 1.1]])
LOGITS, LOG_DELTA = jnp.array([0.2, -0.3, 1.0]), jnp.array([-0.5, 0.8, 0.1])


def test_gradients_of_the_critic_loss():
    check_grads(lambda q: losses.critic_loss(q, jnp.array(2), jnp.array(0.7)), (Q,), 1, ["rev"], 1e-2, 1e-2)
    slope = jax.grad(losses.critic_loss)(Q, jnp.array(2), jnp.array(0.7))
    np.testing.assert_allclose(slope, [[0, 0, 1.3], [0, 0, 0.4]], rtol=1e-5)


@pytest.mark.parametrize("mask", [[1, 1, 1], [1, 0, 1]])
def test_gradients_of_the_actor_loss(mask):
    def loss(q, logits, log_delta):
        return losses.actor_loss(q, masked_log_softmax(logits, jnp.array(mask)), log_delta, HOT)

    check_grads(loss, (Q, LOGITS, LOG_DELTA), 1, ["rev"], 1e-2, 1e-2)


def test_gradients_of_the_temperature_loss():
    found = Entropies(*(jnp.array(x) for x in (0.4, -1.3, 0.9, -2.0)))
    check_grads(lambda t: losses.temperature_loss(t, found), (HOT,), 1, ["rev"], 1e-2, 1e-2)
    slope = jax.grad(losses.temperature_loss)(HOT, found)
    # Too certain of the module: hotter. Too random in the deltas: colder.
    np.testing.assert_allclose(slope, (0.7 * -0.5, 0.3 * 0.7), rtol=1e-5)


def test_temperatures_are_constants_to_the_actor_and_targets_to_the_critic():
    log_p = masked_log_softmax(LOGITS, jnp.ones(3))
    assert jax.grad(lambda t: losses.actor_loss(Q, log_p, LOG_DELTA, t))(HOT) == (0.0, 0.0)
    assert jax.grad(lambda v: losses.td_target(jnp.array(1.0), jnp.array(False), v, 0.9))(1.0) == 0.0


def test_targets_follow_what_is_available():
    log_p = masked_log_softmax(LOGITS, jnp.array([1, 0, 1]))
    p = np.exp(np.asarray(log_p))
    unlocked = jnp.array([2.0, 0.0, 3.0])
    allowed = Allowed(jnp.array([1.0, 0.0, 1.0]), jnp.ones(5))
    found = losses.entropies(log_p, LOG_DELTA, unlocked, allowed, discrete_share=0.3, per_knob=0.5)
    assert found.discrete == pytest.approx(stats.entropy(p), rel=1e-5)
    assert found.continuous == pytest.approx(-np.sum(p * np.asarray(LOG_DELTA)), rel=1e-5)
    assert found.discrete_target == pytest.approx(0.3 * np.log(2.0), rel=1e-5)
    assert found.continuous_target == pytest.approx(-0.5 * (2 * p[0] + 3 * p[2]), rel=1e-5)


@pytest.mark.parametrize(
    ("modules", "knobs", "thawed"),
    [([1, 1], [1, 1], (1, 1)), ([0, 1], [0, 1], (0, 1)), ([1, 1], [0, 0], (1, 0)), ([0, 0], [0, 0], (0, 0))],
)
def test_a_temperature_without_a_choice_is_frozen(modules, knobs, thawed):
    old, new = Temperatures(jnp.array(0.0), jnp.array(0.0)), Temperatures(jnp.array(1.0), jnp.array(1.0))
    assert losses.thaw(old, new, Allowed(jnp.array(modules), jnp.array(knobs))) == thawed

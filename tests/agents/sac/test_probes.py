"""An agent on problems whose values are known: what it says of them, and what it does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.replay import Replay
from ddsprl.agents.types import Seen
from tests.agents.probes import (
    ACTIONS,
    CONFIG,
    DISCOUNT,
    ROWS,
    A,
    B,
    act,
    agent_of,
    look,
    random_actions,
    recorded,
    taught,
    train,
)

KEY = jax.random.key(0)
NO_DELTA = np.zeros(4, np.float32)
EVERYWHERE_A, EVERYWHERE_B = np.tile(A, (ROWS, 1)), np.tile(B, (ROWS, 1))
# A knob of the first and one of the second module; with the second's other knob; the third module's alone.
TWO, BOTH, THIRD = (np.array(x, np.float32) for x in ([1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]))
# So small that the deltas, which change nothing in some probes, are worth next to nothing.
COLD = 0.01


def test_one_step_two_actions():
    """Rewards 0 and 1 at a temperature of 1/2: the soft optimum chooses the better with 1 / (1 + e^-2)."""
    what = TWO
    module, delta = random_actions(what)
    replay = recorded(
        seen=EVERYWHERE_A,
        module=module,
        delta=delta,
        reward=module == 1,
        terminated=np.ones(ROWS, bool),
        after=EVERYWHERE_B,
    )
    p, _, q = look(train(KEY, replay, what, 0.5, COLD), A, NO_DELTA, what)
    np.testing.assert_allclose(q[:, :2], [[0.0, 1.0]] * 2, atol=0.05)
    np.testing.assert_allclose(p, [1 - 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-2.0)), 0.0], atol=0.03)


def test_delayed_reward():
    """From A either module leads to (sign, 1); only there 1 is paid, and only after the second module."""
    what = TWO
    module, delta = random_actions(what)
    rng = np.random.default_rng(1)
    late, sign = rng.random(ROWS) < 0.5, rng.choice([-1.0, 1.0], ROWS)
    chosen = np.where(module == 1, 1.0, -1.0)
    replay = recorded(
        seen=np.where(late[:, None], np.stack([sign, np.ones(ROWS)], 1), EVERYWHERE_A),
        module=module,
        delta=delta,
        reward=late * (sign > 0),
        terminated=late,
        after=np.stack([chosen, np.ones(ROWS)], 1),
    )
    temperature = 0.2
    p, _, q = look(train(KEY, replay, what, temperature, COLD), A, NO_DELTA, what)
    # Two equal actions are left at the second step, whose choice is worth their entropy.
    after = np.array([0.0, 1.0]) + temperature * np.log(2.0)
    np.testing.assert_allclose(q[:, :2], [DISCOUNT * after] * 2, atol=0.05)
    expected = 1 / (1 + np.exp(-DISCOUNT / temperature))
    np.testing.assert_allclose(p[1], expected, atol=0.03)


def test_a_time_limit_bootstraps_and_an_end_does_not():
    """Reward 1 for ever, in A cut off by a clock and in B ended: 1 / (1 - discount) and 1."""
    what = THIRD
    ends = np.arange(ROWS) % 2 == 1
    where = np.where(ends[:, None], B, A)
    module, delta = random_actions(what)
    replay = recorded(
        seen=where, module=module, delta=delta, reward=np.ones(ROWS), terminated=ends, after=where
    )
    state = train(KEY, replay, what, 0.3, COLD)
    for rest, expected in ((A, 1 / (1 - DISCOUNT)), (B, 1.0)):
        np.testing.assert_allclose(look(state, rest, NO_DELTA, what)[2][:, 2], expected, atol=0.05)


def test_what_is_locked_is_neither_done_nor_hoped_for():
    """The best module is locked, and so is a knob of the next best: neither may leak into values or acts."""
    what = TWO
    module, delta = random_actions(np.ones(4, np.float32))
    # Rewarding in itself: module 2, whose knob is locked; every second transition goes on.
    ends = np.arange(ROWS) % 2 == 1
    replay = recorded(
        seen=EVERYWHERE_A,
        module=module,
        delta=delta * what,
        reward=np.array([0.0, 0.2, 5.0])[module],
        terminated=ends,
        after=EVERYWHERE_B,
    )
    state = train(KEY, replay, what, 0.1, COLD)
    p, _, q = look(state, A, NO_DELTA, what)
    assert p[2] == 0.0
    assert np.all(q[:, :2] < 1.0)
    action = act(KEY, state, Seen(jnp.asarray(A)), ACTIONS.allowed(what))
    assert action.module != 2
    np.testing.assert_array_equal(action.delta[2:], 0.0)


OWNERS, BEST = np.array([0, 1, 1, 2]), np.array([0.4, -0.5, 0.3, 0.0])


def hybrid(what: np.ndarray, better: int) -> tuple[Replay, np.ndarray]:
    """Reward b_m - |delta_m - best_m|^2, and b: 1/2 for the better module, otherwise 0."""
    bonus = np.where(np.arange(3) == better, 0.5, 0.0)
    module, delta = random_actions(what)
    misses = np.square(delta - BEST) * (OWNERS[None, :] == module[:, None])
    replay = recorded(
        seen=EVERYWHERE_A,
        module=module,
        delta=delta,
        reward=bonus[module] - misses.sum(axis=1),
        terminated=np.ones(ROWS, bool),
        after=EVERYWHERE_B,
    )
    return replay, bonus


@pytest.mark.parametrize("better", [0, 1])
def test_hybrid_action_with_a_known_optimum(better):
    """The module, its deltas and the values around them are found."""
    what = BOTH
    replay, bonus = hybrid(what, better)
    state = train(KEY, replay, what, 0.05, 0.01)
    _, centre, q = look(state, A, BEST, what)
    np.testing.assert_allclose(q[:, :2], [bonus[:2]] * 2, atol=0.12)
    action = act(KEY, state, Seen(jnp.asarray(A)), ACTIONS.allowed(what))
    assert action.module == better
    mine = better == OWNERS
    np.testing.assert_allclose(np.asarray(action.delta)[mine], BEST[mine], atol=0.12)
    assert np.all(np.asarray(action.delta)[~mine] == 0.0)
    np.testing.assert_allclose(np.asarray(centre)[mine], BEST[mine], atol=0.12)


@pytest.mark.evidence
@pytest.mark.slow
def test_temperatures_lead_both_entropies_to_their_targets():
    config = dataclasses.replace(CONFIG, tune_temperatures=True, temperature_rate=1e-2)
    agent = agent_of(config)
    replay, _ = hybrid(BOTH, 0)
    _, found = jax.jit(lambda k: taught(agent, k, agent.init(k), replay, BOTH))(KEY)
    assert found["discrete_target"] == pytest.approx(config.discrete_entropy * np.log(2.0), rel=1e-5)
    assert found["discrete_entropy"] == pytest.approx(float(found["discrete_target"]), abs=0.1)
    assert found["continuous_entropy"] == pytest.approx(float(found["continuous_target"]), abs=0.4)

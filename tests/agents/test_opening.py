"""The opening: whose turn it is, where the knobs are sent, when it is over, and who obeys it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.distributions import TanhNormal, masked_log_softmax
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.networks import FIRST_GATE, FIRST_SPEED, Policy
from ddsprl.agents.opening import OVER, opened
from ddsprl.agents.sac import Sac, SacConfig
from ddsprl.agents.sac.acting import explore
from ddsprl.agents.types import ActionSpec, Seen, SeenSpec

SPEC = ActionSpec(3, (0, 2, 0, 1, 2))
# The module in the middle has nothing unlocked; of the first one only one knob is.
ALLOWED = SPEC.allowed([1.0, 1.0, 0.0, 0.0, 1.0])
GOAL = jnp.array([0.5, -0.25, 3.0, 1.0, -2.0])
ROUNDS = 2
KEY = jax.random.key(0)


def policy() -> Policy:
    some = TanhNormal(jnp.full(5, 0.1), jnp.zeros(5))
    return Policy(masked_log_softmax(jnp.zeros(3), ALLOWED.modules), some, some._replace(mean=GOAL))


def test_every_allowed_module_has_its_turn_and_then_it_is_over():
    found = [opened(policy(), ALLOWED, jnp.asarray(t), ROUNDS, SPEC) for t in range(6)]
    assert [int(x.module) for x in found] == [0, 2, 0, 2, 0, 2]
    assert [bool(x.due) for x in found] == [True] * 4 + [False] * 2
    assert not opened(policy(), ALLOWED, jnp.asarray(OVER), 1000, SPEC).due


def test_knobs_go_where_the_belief_sends_them():
    found = opened(policy(), ALLOWED, jnp.asarray(0), ROUNDS, SPEC)
    expected = np.tanh(np.asarray(GOAL)) * np.asarray(ALLOWED.knobs)
    np.testing.assert_allclose(found.delta, expected, rtol=1e-6)


@pytest.fixture(scope="module")
def agent():
    """An agent whose `rest` is a guess at five knobs and these knobs, and its state."""
    made = Sac(
        SacConfig(network=NetworkConfig(width=8, blocks=1), opening=ROUNDS), SPEC, SeenSpec(10, None, (0, 5))
    )
    return made, jax.jit(made.init)(KEY)


def seen(guess: np.ndarray, knobs: np.ndarray) -> Seen:
    return Seen(jnp.asarray(np.concatenate([guess, knobs]), jnp.float32))


def test_a_new_actor_is_drawn_a_little_to_the_guess(agent):
    made, state = agent
    guess, knobs = np.array([0.9, 0.1, 0.5, 0.5, 0.3]), np.array([0.1, 0.9, 0.5, 0.2, 0.3])
    found = made.policy(state.actor, seen(guess, knobs), ALLOWED)
    pull = FIRST_SPEED * (guess - knobs) / (1.0 + np.exp(-FIRST_GATE))
    # The network's own part is small at first, and not nothing.
    np.testing.assert_allclose(found.delta.mean, pull, atol=0.4)
    np.testing.assert_allclose(found.goal.mean, pull, atol=0.4)
    plain = Sac(made.config, SPEC, SeenSpec(10))
    without = plain.policy(plain.init(KEY).actor, seen(guess, knobs), ALLOWED)
    assert float(jnp.abs(without.delta.mean).max()) < 0.4


def test_the_agent_opens_in_play_and_in_training_and_what_it_did_is_no_draw(agent):
    made, state = agent
    at = seen(np.array([0.9, 0.1, 0.5, 0.5, 0.3]), np.full(5, 0.5))
    goal = made.policy(state.actor, at, ALLOWED).goal.centre()
    for turn, module, drawn in ((0, 0, 0.0), (1, 2, 0.0), (3, 2, 0.0), (4, None, 1.0), (OVER, None, 1.0)):
        key = jax.random.fold_in(KEY, turn)
        acted = made.act(key, state, at, ALLOWED, turn=jnp.asarray(turn))
        choice = explore(made, key, state, at, ALLOWED, jnp.asarray(-1.0), jnp.asarray(turn))
        assert float(choice.drawn) == float(choice.by_policy) == drawn
        if module is not None:
            shown = made.actions.shown(goal, ALLOWED)[module]
            for action in (acted, choice.action):
                assert int(action.module) == module
                np.testing.assert_allclose(action.delta, shown, rtol=1e-5, atol=1e-6)
    # Without a turn nobody opens: what is drawn is the policy's.
    free = made.act(KEY, state, at, ALLOWED)
    late = made.act(KEY, state, at, ALLOWED, turn=jnp.asarray(OVER))
    np.testing.assert_array_equal(free.delta, late.delta)

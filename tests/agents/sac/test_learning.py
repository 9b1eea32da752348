"""Batches mixed from experience and demonstrations."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import LoopConfig, NetworkConfig, Seen, SeenSpec, Transition, add, empty_replay
from ddsprl.agents.sac import Experience, Sac, SacConfig
from ddsprl.agents.sac.learning import learn, mixed_batch
from ddsprl.agents.types import ActionSpec, Labels

ACTIONS, SEEN = ActionSpec(2, (0, 1)), SeenSpec(1)


def ring(reward: float, count: int, capacity: int = 16):
    """Transitions that are known by their reward."""
    seen = Seen(jnp.zeros((count, 1)))
    rows = Transition(
        seen,
        jnp.zeros(count, int),
        jnp.zeros((count, 2)),
        jnp.full(count, reward),
        jnp.zeros(count, bool),
        seen,
    )
    return add(empty_replay(capacity, SEEN, ACTIONS), rows)


def only(replay) -> Experience:
    """Experience without demonstrations."""
    return Experience(replay, None, jnp.zeros((), int))


def share_of_demos(demos, share: float) -> float:
    batch = mixed_batch(jax.random.key(0), ring(1.0, 5), demos, size=40, share=share)
    assert batch.reward.shape == (40,)
    # Zero would be a row that nobody has written.
    assert np.all(np.isin(batch.reward, [1.0, 2.0]))
    return float(np.mean(np.asarray(batch.reward) == 2.0))


def test_a_fixed_part_of_a_batch_is_demonstrations():
    assert share_of_demos(ring(2.0, 3), 0.25) == 0.25
    assert share_of_demos(ring(2.0, 3), 0.0) == 0.0
    assert share_of_demos(None, 0.25) == 0.0


def test_at_first_only_the_critics_learn():
    network = NetworkConfig(width=4, blocks=0)
    agent = Sac(SacConfig(network=network, batch=4, updates_per_step=2), ACTIONS, SEEN)
    state, allowed = agent.init(jax.random.key(0)), ACTIONS.allowed(jnp.ones(2))

    @jax.jit
    def go(state):
        loop = LoopConfig(demo_share=0.5, critic_first=2)
        return learn(agent, jax.random.key(1), state, only(ring(1.0, 5)), allowed, loop=loop)[0]

    first = go(state)
    assert first.updates == 2
    chex.assert_trees_all_equal(first.actor, state.actor)
    chex.assert_trees_all_equal(first.temperatures, state.temperatures)
    assert differ(first.critic, state.critic)
    assert differ(go(first).actor, state.actor)


def test_before_the_critics_lead_a_teacher_does():
    network = NetworkConfig(width=4, blocks=0)
    config = SacConfig(network=network, batch=4, kickstart=1.0, imitation_batch=8)
    agent = Sac(config, ACTIONS, SEEN)
    state, allowed = agent.init(jax.random.key(0)), ACTIONS.allowed(jnp.ones(2))

    def after(critic_first: int, critic: int):
        """The actor, taught and led by one of two sets of critics."""
        given = state._replace(critic=agent.init(jax.random.key(critic)).critic)
        loop = LoopConfig(demo_share=0.0, critic_first=critic_first)
        found, _ = learn(agent, jax.random.key(1), given, only(labelled()), allowed, loop=loop)
        return found.actor

    assert differ(after(1, 0), state.actor)
    chex.assert_trees_all_equal(after(1, 0), after(1, 5))
    assert differ(after(0, 0), after(0, 5))


def labelled():
    """Transitions of a teacher who always turns the second module's knob up."""
    count = 5
    seen = Seen(jnp.ones((count, 1)))
    labels = Labels(jnp.ones(count, int), jnp.full((count, 2), 0.5))
    zero, reward = jnp.zeros((count, 2)), jnp.arange(count, dtype=jnp.float32)
    rows = Transition(seen, jnp.zeros(count, int), zero, reward, jnp.zeros(count, bool), seen, labels)
    return add(empty_replay(8, SEEN, ACTIONS, labelled=True), rows)


def differ(a, b) -> bool:
    return any(np.any(x != y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))

"""The agent: an update changes what it should, keys fix what is learned, a stored state goes on."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddsprl.agents import LoopConfig
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.replay import add, sample
from ddsprl.agents.sac import Experience, Sac, SacConfig
from ddsprl.agents.sac.learning import learn
from ddsprl.agents.types import ActionSpec, Labels, Seen, SeenSpec, Transition

ACTIONS = ActionSpec(3, (0, 1, 1, 2))
CONFIG = SacConfig(network=NetworkConfig(width=8, blocks=1), batch=8, capacity=32, updates_per_step=2)
AGENT = Sac(CONFIG, ACTIONS, SeenSpec(2, (8, 8)))
FREE = jnp.array([1.0, 1.0, 0.0, 0.0])
ALLOWED = ACTIONS.allowed(FREE)
KEY = jax.random.key(0)
LOOP = LoopConfig(demo_share=0.0)
INIT = jax.jit(AGENT.init)
ACT = jax.jit(chex.assert_max_traces(AGENT.act, n=1))


def learned_from(sac: Sac, key, state, replay, allowed):
    """After the gradient steps of one iteration, without demonstrations."""
    return learn(sac, key, state, Experience(replay, None, jnp.zeros((), int)), allowed, loop=LOOP)


def own_learn(key, state, replay, allowed):
    return learned_from(AGENT, key, state, replay, allowed)


LEARN = jax.jit(chex.assert_max_traces(own_learn, n=1))


def seen(rng, n: int) -> Seen:
    pictures = rng.uniform(-1, 2, (2, n, 8, 8))
    return Seen(*(jnp.asarray(x, jnp.float32) for x in (rng.normal(size=(n, 2)), *pictures)))


def transitions(n: int, seed: int = 0) -> Transition:
    rng = np.random.default_rng(seed)
    before = seen(rng, n)
    module = rng.integers(0, 2, n)
    delta = rng.uniform(-1, 1, (n, 4)) * np.asarray(FREE) * ACTIONS.belongs[module]
    return Transition(
        before,
        jnp.asarray(module, jnp.int32),
        jnp.asarray(delta, jnp.float32),
        jnp.asarray(rng.normal(size=n), jnp.float32),
        jnp.asarray(rng.random(n) < 0.2),
        seen(rng, n)._replace(target=before.target),
    )


REPLAY = add(AGENT.new_replay(), transitions(20))


@pytest.fixture(scope="module")
def learned():
    return LEARN(KEY, INIT(KEY), REPLAY, ALLOWED)


def test_a_gradient_step_changes_everything_and_counts(learned):
    before, (after, metrics) = INIT(KEY), learned
    assert after.updates == CONFIG.updates_per_step
    for name in ("actor", "critic", "target_critic", "temperatures"):
        assert distance(getattr(before, name), getattr(after, name)) > 0, name
    assert all(np.isfinite(x) for x in metrics.values())
    # The slow copy has gone about tau of the way.
    way = distance(before.target_critic, after.target_critic)
    assert 0 < way < 3 * CONFIG.target_rate * distance(before.critic, after.critic)


def distance(a, b) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(x) - np.asarray(y))) for x, y in pairs)))


def test_the_same_keys_learn_the_same_and_masks_do_not_compile_anew(learned):
    chex.assert_trees_all_equal(learned, LEARN(KEY, INIT(KEY), REPLAY, ALLOWED))
    other, _ = LEARN(KEY, INIT(KEY), REPLAY, ACTIONS.allowed(jnp.ones(4)))
    assert distance(other.actor, learned[0].actor) > 0


def test_with_one_module_left_its_temperature_stays():
    state, metrics = LEARN(KEY, INIT(KEY), REPLAY, ACTIONS.allowed(jnp.array([0.0, 1.0, 1.0, 0.0])))
    first = INIT(KEY).temperatures
    assert state.temperatures.log_discrete == first.log_discrete
    assert state.temperatures.log_continuous != first.log_continuous
    assert metrics["discrete_entropy"] == 0.0


def test_acts_are_allowed_ones():
    state, where = INIT(KEY), jax.tree.map(lambda x: x[0], transitions(1).seen)
    modules = set()
    for i in range(24):
        action = ACT(jax.random.key(i), state, where, ALLOWED)
        modules.add(int(action.module))
        expected = ACTIONS.belongs[int(action.module)] * np.asarray(FREE)
        np.testing.assert_array_equal(np.asarray(action.delta) != 0, expected > 0)
        assert np.all(np.abs(action.delta) <= 1.0)
    assert modules == {0, 1}


def test_seeds_train_side_by_side():
    """`vmap` over seeds is a loop over seeds."""
    keys = jax.random.split(KEY, 2)
    states = jax.tree.map(lambda *x: jnp.stack(x), *map(INIT, keys))
    side_by_side = jax.jit(jax.vmap(own_learn, (0, 0, None, None)))
    together, _ = side_by_side(keys, states, REPLAY, ALLOWED)
    alone = LEARN(keys[1], INIT(keys[1]), REPLAY, ALLOWED)[0]
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[1], together), alone, atol=2e-4)


def test_a_state_written_down_and_read_back_goes_on_as_if_never_stopped(learned):
    leaves, tree = jax.tree.flatten((learned[0], REPLAY))
    state, replay = jax.tree.unflatten(tree, [jnp.asarray(np.array(x)) for x in leaves])
    resumed = LEARN(jax.random.key(5), state, replay, ALLOWED)
    chex.assert_trees_all_equal(resumed, LEARN(jax.random.key(5), learned[0], REPLAY, ALLOWED))


def along(loss, params, seed: int) -> tuple[float, float]:
    """Slope of a loss in a random direction: by gradient and by central difference."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    direction = tree.unflatten([jnp.asarray(rng.normal(size=x.shape), jnp.float32) for x in leaves])
    slope = sum(
        jnp.vdot(a, b)
        for a, b in zip(*map(jax.tree.leaves, (jax.grad(loss)(params), direction)), strict=True)
    )
    step = 2e-3
    ends = [loss(jax.tree.map(lambda x, d: x + s * d, params, direction)) for s in (step, -step)]  # noqa: B023
    return float(slope), float((ends[0] - ends[1]) / (2 * step))


def test_gradients_through_the_networks_are_finite_differences(learned):
    state, batch = learned[0], sample(KEY, REPLAY, 8)
    y = jnp.linspace(-1.0, 1.0, 8)
    critic = jax.jit(lambda p: AGENT.critic_loss(p, batch, y, ALLOWED))
    actor = jax.jit(lambda p: AGENT.actor_loss(p, KEY, state, batch.seen, ALLOWED)[0])
    for seed in range(2):
        for loss, params in ((critic, state.critic), (actor, state.actor)):
            by_gradient, by_difference = along(loss, params, seed)
            assert by_gradient == pytest.approx(by_difference, rel=0.03, abs=5e-3)


def test_decay_shrinks_the_critics_matrices_and_nothing_else():
    """Where gradients are zero, rate * decay of every dense kernel is all that goes."""
    config = dataclasses.replace(CONFIG, critic_decay=0.5)
    optimizer = Sac(config, ACTIONS, AGENT.seen).critic_optimizer
    critic = INIT(KEY).critic
    change, _ = optimizer.update(jax.tree.map(jnp.zeros_like, critic), optimizer.init(critic), critic)
    kernels = 0
    for (path, x), moved in zip(
        jax.tree_util.tree_leaves_with_path(critic), jax.tree.leaves(change), strict=True
    ):
        is_kernel = path[-1].key == "kernel"
        kernels += is_kernel
        np.testing.assert_allclose(moved, -config.critic_rate * 0.5 * x * is_kernel, rtol=1e-5)
    assert kernels


def taught(**changes) -> Sac:
    return Sac(dataclasses.replace(CONFIG, kickstart=10.0, **changes), ACTIONS, AGENT.seen)


def test_a_taught_agent_takes_on_its_teachers_choice():
    """Always module 1 and a delta of 0.6, whatever the critics say."""
    sac, steps = taught(actor_rate=1e-2), transitions(20)
    labels = Labels(jnp.ones(20, jnp.int32), jnp.full((20, 4), 0.6))
    replay = add(sac.new_replay(), steps._replace(labels=labels))
    go, state = jax.jit(functools.partial(learned_from, sac)), INIT(KEY)
    for i in range(40):
        state, metrics = go(jax.random.key(i), state, replay, ALLOWED)
        if i == 0:
            first = float(metrics["imitation_loss"])
    assert float(metrics["imitation_loss"]) < first - 0.5
    chosen = jax.vmap(lambda s: sac.act(KEY, state, s, ALLOWED, greedy=True))(steps.seen)
    np.testing.assert_array_equal(chosen.module, 1)
    np.testing.assert_allclose(chosen.delta[:, 1], 0.6, atol=0.15)
    np.testing.assert_array_equal(chosen.delta[:, [0, 2, 3]], 0.0)


def test_a_belief_about_the_teacher_shapes_the_trunk_and_not_the_choice():
    """What is learnt is where the teacher goes; the heads that act have no gradient from it."""
    sac = Sac(dataclasses.replace(CONFIG, goal_weight=1.0), ACTIONS, AGENT.seen)
    labels = Labels(jnp.ones(20, jnp.int32), jnp.full((20, 4), 0.6))
    steps = transitions(20)._replace(labels=labels)
    loss = jax.jit(lambda actor: sac.imitation_losses(actor, steps, ALLOWED)[1])
    actor = INIT(KEY).actor
    first, slope = jax.jit(jax.value_and_grad(loss))(actor)
    norms = {name: float(optax.tree.norm(x)) for name, x in slope["params"].items()}
    assert norms["delta"] == norms["module"] == 0.0
    assert min(norms["goal"], norms["trunk"], norms["encoder"]) > 0.0
    for _ in range(60):
        actor = jax.tree.map(lambda x, g: x - 0.03 * g, actor, jax.jit(jax.grad(loss))(actor))
    assert float(loss(actor)) < float(first) - 0.5
    policy = jax.vmap(lambda s: sac.policy(actor, s, ALLOWED))(steps.seen)
    np.testing.assert_allclose(policy.goal.centre()[:, FREE > 0], 0.6, atol=0.2)
    assert sac.new_replay().rows.labels is not None


def test_the_imitation_weight_halves_and_may_stay():
    halving, staying = taught(kickstart_half=100), taught()
    for updates, weight in ((0, 10.0), (100, 5.0), (300, 1.25)):
        assert float(halving.teaching(jnp.asarray(updates))) == pytest.approx(weight)
        assert float(staying.teaching(jnp.asarray(updates))) == 10.0


def test_without_labels_nobody_is_taught():
    with pytest.raises(ValueError, match="labels"):
        taught().imitation_losses(INIT(KEY).actor, sample(KEY, REPLAY, 4), ALLOWED)
    assert REPLAY.rows.labels is None


def test_every_transition_may_bring_its_own_mask():
    """A batch with masks is learnt from as if each of its rows had been alone with its mask."""
    steps = transitions(8)._replace(module=jnp.ones(8, jnp.int32))
    masks = jnp.stack([FREE, jnp.array([0.0, 1.0, 1.0, 1.0])])[jnp.arange(8) % 2]
    critic, y = INIT(KEY).critic, jnp.linspace(-1.0, 1.0, 8)
    together = AGENT.critic_loss(critic, steps._replace(free=masks), y, ALLOWED)
    alone = [
        AGENT.critic_loss(
            critic, jax.tree.map(lambda x, i=i: x[i : i + 1], steps), y[i : i + 1], ACTIONS.allowed(masks[i])
        )
        for i in range(8)
    ]
    assert float(together) == pytest.approx(np.mean(alone), rel=1e-5)
    assert float(together) != pytest.approx(float(AGENT.critic_loss(critic, steps, y, ALLOWED)), rel=1e-4)


def test_an_update_goes_by_the_masks_of_its_batch_and_by_no_other():
    """Critics, actor, teacher and temperatures, given a wrong mask for all beside them."""
    sac, steps, state = taught(), transitions(8), INIT(KEY)
    labels = Labels(jnp.ones(8, jnp.int32), jnp.full((8, 4), 0.6))
    masked = steps._replace(labels=labels, free=jnp.tile(FREE, (8, 1)))
    update = jax.jit(sac.update)
    wanted = update(KEY, state, masked._replace(free=None), ALLOWED)
    chex.assert_trees_all_close(update(KEY, state, masked, ACTIONS.allowed(jnp.ones(4))), wanted, atol=1e-6)
    other = update(KEY, state, masked._replace(free=None), ACTIONS.allowed(jnp.ones(4)))
    assert distance(other[0].actor, wanted[0].actor) > 1e-6

"""The raw environment: contract, bookkeeping, purity, and gradients through steps."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import flatten, unflatten
from ddsprl.env.match.observation import note_row
from ddsprl.losses import Objective
from synth_jax import Note

KEY = jax.random.key(3)


def start(made, index=0, key=KEY):
    return made.reset_at(key, made.cold, jnp.asarray(index))


@pytest.fixture(params=["made", "synth"])
def either(request):
    return request.getfixturevalue(request.param)


def test_observation_fits_its_layout(either):
    obs, state = start(either)
    found = either.step(KEY, state, either.act(0), either.cold)
    env = either.env
    for seen in (obs, found.obs):
        assert set(seen) == {field.name for field in env.observation.fields}
        for field in env.observation.fields:
            value = np.asarray(seen[field.name])
            assert value.shape == field.shape
            assert value.dtype == np.float32
            assert value.min() >= field.low
            assert value.max() <= field.high
    flat = flatten(obs, env.observation.fields)
    assert flat.shape == (sum(field.size for field in env.observation.fields),)
    for field in env.observation.fields:
        np.testing.assert_array_equal(flat[field.span], np.ravel(obs[field.name]))
    chex.assert_trees_all_equal(unflatten(flat, env.observation.fields), obs)
    both = jax.tree.map(lambda x: jnp.stack([x, x]), obs)
    np.testing.assert_array_equal(flatten(both, env.observation.fields)[1], flat)


def test_log_mel_of_the_default_plant_has_64_bands_and_44_frames():
    from ddsprl.env import EnvConfig, make_matcher

    fields = {field.name: field.shape for field in make_matcher(EnvConfig()).observation.fields}
    assert fields["current"] == fields["target"] == (64, 44)
    assert fields["knobs"] == (25,)
    two = make_matcher(EnvConfig(probes=2)).observation.fields
    assert two[0].shape == (64, 88)


def test_the_note_that_is_played_is_observed(synth):
    obs, state = start(synth)
    notes, length = state.episode.notes, synth.env.instrument.duration_s
    gate = np.minimum(np.asarray(notes.gate_s) / length, 1.0)
    expected = np.concatenate([(np.asarray(notes.midi) - 60.0) / 36.0, gate, np.asarray(notes.velocity)])
    np.testing.assert_allclose(obs["note"], expected, atol=1e-6)
    held = Note(jnp.array([200.0]), jnp.array([9.0]), jnp.array([0.5]))
    np.testing.assert_allclose(note_row(held, length), [2.0, 1.0, 0.5])
    assert "guess" not in obs


def test_log_mel_is_that_of_the_features(made):
    from ddsprl.features.mel import log_mel_db
    from ddsprl.features.sound import Sound

    obs, state = start(made)
    audio = made.env.render(state.u, state.episode.notes, state.episode.render_key)
    expected = log_mel_db(Sound(audio[0], 8_000, n_fft=256))
    clear = np.asarray(expected) > -60.0  # lower levels differ by rounding
    assert clear.mean() > 0.2
    np.testing.assert_allclose((50.0 * obs["current"] - 50.0)[clear], np.asarray(expected)[clear], atol=2e-3)


def test_an_episode_starts_at_the_neutral_patch(either):
    obs, state = start(either)
    np.testing.assert_array_equal(state.u, either.env.instrument.default)
    assert state.t == 0
    assert state.loss == state.best.loss == obs["best"][0]
    np.testing.assert_array_equal(obs["best"][1:], 0.0)
    assert obs["time"] == 0.0


def test_warm_starts_are_near_the_target_and_leave_locked_knobs(made):
    free = made.params.free.at[0].set(0.0)
    warm = made.params._replace(warm_start_probability=jnp.float32(1.0), free=free)
    _, state = start(made)
    _, near = made.reset_at(KEY, warm, jnp.asarray(1))
    distance = np.asarray(near.u - near.episode.u)
    assert distance[0] == 0.0
    assert 0.0 < np.abs(distance[1:]).max() < 5 * 0.1
    assert not np.array_equal(near.u, state.u)


def test_reward_terms_add_up_and_are_named(either):
    _, state = start(either)
    found = either.step(KEY, state, either.act(0, osc1_unison=1.0), either.cold)
    terms = found.info["reward"]
    assert set(terms) == {"loss", "improvement", "move", "dc", "clip", "overshoot", "silence"}
    np.testing.assert_allclose(sum(terms.values()), found.reward, rtol=1e-5)
    np.testing.assert_allclose(sum(found.info["terms"].values()), found.info["loss"], rtol=1e-5)
    assert terms["loss"] == -found.info["loss"]
    np.testing.assert_allclose(terms["move"], -0.2 * 0.01, rtol=1e-4)
    for name in ("dc", "clip", "overshoot", "silence", "move"):
        assert terms[name] <= 0.0


def test_loss_is_the_objectives(made):
    """The environment's loss, computed again from the sounds by hand."""
    _, state = start(made, 2)
    episode = state.episode
    note = Note(*(leaf[0] for leaf in episode.notes))
    synth, keys = made.env.instrument, (episode.target_key, episode.render_key)
    target, sound = (
        synth.render(synth.snap(u), note, jax.random.fold_in(key, 0))
        for u, key in zip((episode.u, state.u), keys, strict=True)
    )
    objective = Objective(made.env.config.objective, synth.sample_rate)
    result = objective(sound, objective.prepare(target))
    expected = sum(float(v) for k, v in result.terms.items() if k not in ("dc", "clip", "overshoot"))
    assert float(state.loss) == pytest.approx(expected, rel=1e-3)


def test_render_key_is_fixed_and_not_the_targets(made):
    _, state = start(made)
    found = made.step(KEY, state, made.act(0), made.cold)
    again = made.step(jax.random.key(99), found.state, made.act(0), made.cold)
    assert found.info["loss"] == again.info["loss"]
    keys = state.episode.render_key, state.episode.target_key
    data = [np.asarray(jax.random.key_data(k)) for k in keys]
    assert not np.array_equal(data[0], data[1])


def test_improvement_counts_from_the_best_so_far(made):
    """There and back again: the bonus is paid once."""
    _, state = start(made)
    target = state.episode.u
    name = "level" if target[0] != state.u[0] else "noise_level"
    i = made.index(name)
    towards = float(np.sign(target[i] - state.u[i]))
    bonuses, bests, losses = [], [float(state.loss)], []
    for way in (towards, -towards, towards, -towards):
        found = made.step(KEY, state, made.act(0, **{name: way}), made.cold)
        state = found.state
        bonuses.append(float(found.info["reward"]["improvement"]))
        bests.append(float(found.info["best_loss"]))
        losses.append(float(found.info["loss"]))
    assert bests[-1] == min([bests[0], *losses])
    assert sum(bonuses) == pytest.approx(bests[0] - bests[-1], abs=1e-5)
    assert bonuses[2] == pytest.approx(0.0, abs=1e-4)


def test_best_is_kept_with_its_knobs_and_step(made):
    _, state = start(made)
    seen = [(float(state.loss), np.asarray(state.u))]
    for way in (1.0, -1.0, -1.0, 1.0):
        found = made.step(KEY, state, made.act(0, level=way, noise_level=-way), made.cold)
        state = found.state
        seen.append((float(state.loss), np.asarray(state.u)))
    step = int(np.argmin([loss for loss, _ in seen]))
    assert int(state.best.step) == step
    np.testing.assert_array_equal(state.best.u, seen[step][1])
    np.testing.assert_allclose(found.obs["best"][:2], [seen[step][0], seen[-1][0] - seen[step][0]], atol=1e-6)


def test_truncated_at_the_end_and_never_reset(made):
    steps = made.env.config.steps
    hard = made.cold._replace(epsilon=jnp.float32(0.0))
    state = made.reset_at(KEY, hard, jnp.asarray(0))[1]
    for t in range(1, steps + 1):
        found = made.step(KEY, state, made.act(0), hard)
        state = found.state
        assert not found.terminated
        assert bool(found.truncated) == (t == steps)
        assert found.obs["time"][0] == pytest.approx(t / steps)
    # The raw step goes on after the end.
    assert made.step(KEY, state, made.act(0), hard).info["t"] == steps + 1


def test_terminated_is_not_truncated(made):
    easy = made.cold._replace(epsilon=jnp.float32(1e3))
    _, state = made.reset_at(KEY, easy, jnp.asarray(0))
    found = made.step(KEY, state, made.act(0), easy)
    assert found.terminated
    assert not found.truncated
    last = made.step(KEY, state._replace(t=jnp.asarray(made.env.config.steps - 1)), made.act(0), easy)
    assert last.terminated
    assert not last.truncated


def test_the_target_itself_terminates(made):
    """At the target's own knobs only the noise differs; a floor moves the line by as much."""
    targets = made.cold.targets
    quiet = targets._replace(u=targets.u.at[:, made.index("noise_level")].set(0.0))
    _, state = made.reset_at(KEY, made.cold._replace(targets=quiet), jnp.asarray(0))
    arrived = state._replace(u=state.episode.u)
    found = made.step(KEY, arrived, made.act(0), made.cold)
    assert found.info["loss"] < 0.01 < 0.5 < state.loss
    assert found.terminated
    floored = made.cold._replace(targets=quiet._replace(floor=jnp.full(12, 3.0)))
    assert made.reset_at(KEY, floored, jnp.asarray(0))[1].episode.epsilon == 3.5


def test_history_holds_what_was_done(made):
    _, state = start(made)
    actions = [made.act(0, level=-1.0), made.act(1, tilt=0.5), made.act(3, offset=0.25)]
    losses = [float(state.loss)]
    for action in actions:
        found = made.step(KEY, state, action, made.cold)
        state = found.state
        losses.append(float(found.info["loss"]))
    history = state.history
    np.testing.assert_array_equal(history.module[:4], [0, 1, 3, -1])
    np.testing.assert_array_equal(history.loss[:4], np.array(losses, np.float32))
    np.testing.assert_allclose(np.diff(history.knobs[:4], axis=0), history.move[:3], atol=1e-7)
    np.testing.assert_array_equal(history.knobs[3], state.u)
    np.testing.assert_allclose(history.move[1, made.index("tilt")], 0.05, rtol=1e-5)


def test_pure_jit_vmap_and_one_trace(made):
    env = made.env
    step = jax.jit(jax.vmap(chex.assert_max_traces(env.step, n=1), in_axes=(None, 0, 0, None)))
    chex.clear_trace_counter()
    states = [start(made, i)[1] for i in range(3)]
    together = jax.tree.map(lambda *x: jnp.stack(x), *states)
    actions = [made.act(i, level=0.3 * i, tilt=-0.5) for i in range(3)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *actions)
    many = step(KEY, together, batch, made.cold)
    step(KEY, many.state, batch, made.cold)
    for i in range(3):
        alone = made.step(KEY, states[i], actions[i], made.cold)
        row = jax.tree.map(lambda x, i=i: x[i], many)
        chex.assert_trees_all_close(alone.obs, row.obs, atol=2e-3)
        np.testing.assert_allclose(alone.reward, row.reward, atol=1e-3)
    chex.assert_trees_all_equal(made.step(KEY, states[0], actions[0], made.cold).obs, alone_obs(made, states))


def alone_obs(made, states):
    return made.step(KEY, states[0], made.act(0, level=0.0, tilt=-0.5), made.cold).obs


def test_gradients_flow_through_two_steps(made):
    """The reward's slope by the first delta, against finite differences, through a discrete knob too."""
    env, params = made.env, made.cold
    _, state = start(made, 1)

    def total(delta):
        first = env.step(KEY, state, {"module": jnp.asarray(0), "delta": delta}, params)
        second = env.step(KEY, first.state, {"module": jnp.asarray(1), "delta": 0.5 * delta}, params)
        return first.reward + second.reward

    delta = jnp.full(made.d, 0.3)
    value_of = jax.jit(total)
    slope = np.asarray(jax.jit(jax.grad(total))(delta))
    assert np.all(np.isfinite(slope))
    for name in ("level", "tilt"):
        step = 0.02 * (jnp.arange(made.d) == made.index(name))
        finite = (value_of(delta + step) - value_of(delta - step)) / 0.04
        assert float(slope[made.index(name)]) == pytest.approx(float(finite), rel=0.1, abs=2e-3), name
    assert slope[made.index("osc1_unison")] != 0.0
    assert slope[made.index("amp_decay")] == 0.0  # its module was not chosen


def test_synth_gradients_are_finite(synth):
    _, state = start(synth)

    def total(delta):
        return synth.env.step(KEY, state, {"module": jnp.asarray(0), "delta": delta}, synth.cold).reward

    slope = np.asarray(jax.jit(jax.grad(total))(jnp.full(synth.d, 0.1)))
    assert np.all(np.isfinite(slope))
    modules = [spec.module for spec in synth.env.instrument.table]
    assert np.any(slope != 0.0)
    assert all(g == 0.0 for g, m in zip(slope, modules, strict=True) if m != "OSC")


def test_a_target_may_bring_its_own_mask_and_margin(made):
    """As if it were alone in parameters of that mask and that margin."""
    count, d = made.cold.targets.u.shape
    free = jnp.ones((count, d)).at[1, 0].set(0.0)
    margin = jnp.full(count, made.cold.epsilon).at[1].set(0.125)
    own = made.cold._replace(targets=made.cold.targets._replace(free=free, margin=margin))
    alone = made.cold._replace(free=free[1], epsilon=jnp.float32(0.125))
    action = {"module": jnp.asarray(0), "delta": jnp.full(d, 0.5)}
    for params in (own, alone):
        obs, state = made.reset_at(KEY, params, jnp.asarray(1))
        found = made.step(KEY, state, action, params)
        if params is own:
            expected = obs, state, found
        assert found.info["applied"][0] == 0.0
    chex.assert_trees_all_equal(jax.tree.map(plain, expected), jax.tree.map(plain, (obs, state, found)))
    _, other = made.reset_at(KEY, own, jnp.asarray(0))
    assert other.episode.epsilon == made.cold.epsilon and np.all(other.episode.free == 1.0)


def plain(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

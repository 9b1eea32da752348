"""The adapters: gymnasium's own checker, seeds, same-step autoreset, final observations and statistics."""

import subprocess
import sys

import jax
import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
check_env = pytest.importorskip("gymnasium.utils.env_checker").check_env
RecordEpisodeStatistics = pytest.importorskip("gymnasium.wrappers.vector").RecordEpisodeStatistics

from ddsprl.env import EpisodicReward, flatten  # noqa: E402
from ddsprl.env.adapters_gymnasium import GymMatch, GymMatchVector  # noqa: E402
from ddsprl.env.domain import Draw  # noqa: E402
from ddsprl.env.match.embedding import cosine  # noqa: E402
from tests.env.seeker import Seeker, SeekerConfig, places  # noqa: E402

N = 5


@pytest.fixture(scope="module")
def vectors(made):
    return GymMatchVector(made.env, made.params, num_envs=N)


@pytest.mark.parametrize("flat", [False, True])
def test_check_env(made, flat):
    check_env(GymMatch(made.env, made.cold, flat_obs=flat, flat_action=flat), skip_render_check=True)


@pytest.mark.parametrize("flat", [False, True])
def test_an_environment_of_another_kind_is_adapted_as_well(flat):
    env = Seeker(SeekerConfig())
    made = GymMatch(env, places(env, Draw(1)), flat_obs=flat, flat_action=flat)
    check_env(made, skip_render_check=True)
    assert made.action_space.shape == (2,)
    many = GymMatchVector(env, places(env, Draw(1)), num_envs=N, flat_obs=flat)
    many.reset(seed=0)
    for _ in range(env.steps):
        *_, info = many.step(np.zeros((N, 2), np.float32))
    np.testing.assert_array_equal(info["final_info"]["episode_length"], env.steps)


def test_step_before_reset_and_after_the_end(made):
    env = GymMatch(made.env, made.cold._replace(epsilon=made.cold.epsilon * 1e3))
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    env.reset(seed=1)
    assert env.step(env.action_space.sample())[2]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())


def test_single_truncates_at_the_end(made):
    env = GymMatch(made.env, made.cold._replace(epsilon=made.cold.epsilon * 0.0))
    env.reset(seed=1)
    for t in range(1, made.env.config.steps + 1):
        *_, terminated, truncated, info = env.step({"module": 0, "delta": np.zeros(made.d, np.float32)})
        assert not terminated
        assert truncated == (t == made.env.config.steps)
    assert info["t"] == made.env.config.steps
    assert env.state.history.module[-1] == 0


def test_flat_view_is_the_same_episode(made):
    flat = GymMatch(made.env, made.cold, flat_obs=True, flat_action=True)
    plain = GymMatch(made.env, made.cold)
    seen, _ = flat.reset(seed=4)
    obs, _ = plain.reset(seed=4)
    np.testing.assert_array_equal(seen, flatten(obs, made.env.observation.fields))
    delta = np.linspace(-1, 1, made.d, dtype=np.float32)
    one = flat.step(np.concatenate([np.array([0.0, 0.5, -1.0, 0.2], np.float32), delta]))
    two = plain.step({"module": 1, "delta": delta})
    np.testing.assert_array_equal(one[0], flatten(two[0], made.env.observation.fields))
    assert one[1] == two[1]


def test_vector_spaces_and_seeds(vectors):
    first, _ = vectors.reset(seed=3)
    assert first in vectors.observation_space
    vectors.action_space.seed(0)
    actions = vectors.action_space.sample()
    step = vectors.step(actions)
    again, _ = vectors.reset(seed=3)
    np.testing.assert_array_equal(first["target"], again["target"])
    np.testing.assert_array_equal(step[1], vectors.step(actions)[1])
    other, _ = vectors.reset(seed=4)
    assert not np.array_equal(first["target"], other["target"])
    assert step[1].dtype == np.float64


def still(vectors):
    return jax.tree.map(np.zeros_like, vectors.action_space.sample())


def test_vector_autoreset_in_the_same_step(made):
    """Truncation everywhere at once: a fresh target, the old episode's last observation aside."""
    never = made.cold._replace(epsilon=made.cold.epsilon * 0.0)
    vectors = GymMatchVector(made.env, never, num_envs=N)
    steps = made.env.config.steps
    last, _ = vectors.reset(seed=0)
    for t in range(1, 2 * steps + 1):
        obs, _, terminated, truncated, info = vectors.step(still(vectors))
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (t % steps == 0)
        if t % steps:
            assert "final_obs" not in info
            last = obs
            continue
        assert info["_final_obs"].all()
        final = info["final_obs"]
        np.testing.assert_array_equal(obs["time"], 0.0)
        for i in range(N):
            assert final[i] in vectors.single_observation_space
            assert final[i]["time"] == 1.0
            np.testing.assert_array_equal(final[i]["target"], last["target"][i])
        fresh = [not np.array_equal(final[i]["target"], obs["target"][i]) for i in range(N)]
        assert all(fresh)  # another target, or the same with other noise
        np.testing.assert_array_equal(info["final_info"]["episode_length"], steps)


def test_vector_episode_statistics(made):
    """Returns and lengths agree with gymnasium's own bookkeeping and with sums by hand."""
    config_steps = made.env.config.steps
    vectors = RecordEpisodeStatistics(GymMatchVector(made.env, made.params, num_envs=N))
    vectors.reset(seed=5)
    vectors.action_space.seed(5)
    totals, lengths, ended = np.zeros(N), np.zeros(N, int), 0
    for _ in range(2 * config_steps + 1):
        _, reward, terminated, truncated, info = vectors.step(vectors.action_space.sample())
        totals, lengths, done = totals + reward, lengths + 1, terminated | truncated
        assert not np.any(terminated & truncated)
        assert done.any() == ("final_obs" in info)
        if done.any():
            for name, own, by_hand in (("r", "episode_return", totals), ("l", "episode_length", lengths)):
                np.testing.assert_allclose(info["episode"][name][done], by_hand[done], rtol=1e-4)
                np.testing.assert_allclose(info["final_info"][own][done], by_hand[done], rtol=1e-4)
            np.testing.assert_array_equal(info["_episode"], done)
        totals, lengths = np.where(done, 0.0, totals), np.where(done, 0, lengths)
        ended += int(done.sum())
    assert ended >= 2 * N
    assert vectors.episode_count == ended


def spectrum(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Stands in for an embedding."""
    del sample_rate
    return np.abs(np.fft.rfft(audio))


def test_an_episodic_reward_comes_with_the_last_step(made):
    never = made.cold._replace(epsilon=made.cold.epsilon * 0.0)
    plain = GymMatch(made.env, never)
    added = GymMatch(made.env, never, episodic_reward=EpisodicReward(made.env, spectrum, weight=3.0))
    plain.reset(seed=2)
    added.reset(seed=2)
    plain.action_space.seed(2)
    reward = more = 0.0
    truncated = False
    for t in range(1, made.env.config.steps + 1):
        action = plain.action_space.sample()
        reward = plain.step(action)[1]
        _, more, _, truncated, info = added.step(action)
        assert sum(info["reward"].values()) == pytest.approx(more, rel=1e-4, abs=1e-4)
        if t < made.env.config.steps:
            assert more == reward and info["reward"]["episodic"] == 0.0
    assert truncated
    episode, best = added.state.episode, added.state.best
    sounds = (
        made.env.render(best.u, episode.notes, episode.render_key),
        made.env.render(episode.u, episode.notes, episode.target_key),
    )
    # One probe; both sounds made by hand.
    expected = 3.0 * cosine(*(spectrum(np.asarray(x)[0], 8_000) for x in sounds))
    assert 0.0 < expected < 3.0
    assert more - reward == pytest.approx(expected, rel=1e-4)


def test_an_episodic_reward_of_many(made, vectors):
    """It comes where an episode ended, and counts in that episode's return."""
    reward = EpisodicReward(made.env, spectrum)
    added = GymMatchVector(made.env, made.params, num_envs=N, episodic_reward=reward)
    vectors.reset(seed=7)
    added.reset(seed=7)
    added.action_space.seed(7)
    totals, seen = np.zeros(N), 0
    for _ in range(made.env.config.steps):
        actions = added.action_space.sample()
        plain = vectors.step(actions)[1]
        _, more, terminated, truncated, info = added.step(actions)
        done, bonus = terminated | truncated, info["reward"]["episodic"]
        np.testing.assert_array_equal(bonus != 0.0, done)
        np.testing.assert_allclose(more - plain, bonus, atol=1e-5)
        assert np.all(bonus <= 1.0 + 1e-6)
        totals += more
        if done.any():
            final = info["final_info"]
            np.testing.assert_allclose(final["episode_return"][done], totals[done], rtol=1e-4)
            np.testing.assert_array_equal(final["reward"]["episodic"], bonus)
        totals, seen = np.where(done, 0.0, totals), seen + int(done.sum())
    assert seen >= N


def test_without_gymnasium_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "import ddsprl.env\n"
        "import ddsprl.env.adapters_gymnasium\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert 'pip install "ddsprl[gym]"' in done.stderr.splitlines()[-1]


@pytest.mark.third_party
def test_a_library_that_is_not_ours_trains_on_it(made):
    """Stable-Baselines3's PPO and SAC on the flat views; the extra `third-party` brings it, and PyTorch."""
    sb3 = pytest.importorskip("stable_baselines3", reason='needs pip install "ddsprl[third-party]"')
    for algorithm, settings in (
        (sb3.PPO, {"n_steps": 16, "batch_size": 8, "n_epochs": 1}),
        (sb3.SAC, {"learning_starts": 8, "batch_size": 8, "buffer_size": 64}),
    ):
        env = GymMatch(made.env, made.params, flat_obs=True, flat_action=True)
        agent = algorithm(
            "MlpPolicy", env, device="cpu", seed=0, policy_kwargs={"net_arch": [16]}, **settings
        )
        before = [p.detach().clone() for p in agent.policy.parameters()]
        agent.learn(32)
        changed = [bool((a != b).any()) for a, b in zip(before, agent.policy.parameters(), strict=True)]
        assert any(changed)
        action, _ = agent.predict(env.reset(seed=0)[0])
        assert env.action_space.contains(action)

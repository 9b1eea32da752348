"""The environment as gymnasium knows environments: one episode, or many with automatic reset.

    from ddsprl.env.adapters_gymnasium import GymMatch, GymMatchVector
    env = GymMatch(*make_env(config))                                  # gymnasium.Env
    envs = GymMatchVector(*make_env(config), num_envs=64)              # gymnasium.vector.VectorEnv

For agents that know neither dictionaries nor hybrid actions, `flat_obs=True` gives one vector and
`flat_action=True` takes one: four selector logits, then the deltas, all in [-1, 1].

`episodic_reward=EpisodicReward(env, load_embedding("speech"))` adds to the last step of every episode what a
learned embedding says of its best sound (see `ddsprl.env.match.embedding`), outside the compiled step.

Gymnasium is an extra: `pip install "ddsprl[gym]"`. Its seeds feed the keys, so a seeded run repeats itself.
"""

import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env.match.actions import from_flat
from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.observation import bounds
from ddsprl.env.match.types import EnvParams
from ddsprl.env.wrappers import AutoReset, Final, default_chunk, final_of

try:
    gymnasium: Any = importlib.import_module("gymnasium")
    spaces: Any = gymnasium.spaces
    vector: Any = importlib.import_module("gymnasium.vector")
    batch_space: Any = importlib.import_module("gymnasium.vector.utils").batch_space
except ImportError as missing:
    raise ImportError('gymnasium is not installed; it comes with `pip install "ddsprl[gym]"`') from missing

# Rewards `[n]` from parameters, what episodes leave, and which of them ended; an `EpisodicReward` is one.
Episodic = Callable[[EnvParams, Final, np.ndarray], np.ndarray]
# Its name among the terms in `info["reward"]`.
EPISODIC = "episodic"


def observation_space(env: MatchEnv, *, flat: bool) -> Any:
    """The space of one observation, from its layout."""
    if flat:
        return spaces.Box(*bounds(env.layout), dtype=np.float32)
    boxes = {f.name: spaces.Box(f.low, f.high, f.shape, np.float32) for f in env.layout}
    return spaces.Dict(boxes)


def action_space(env: MatchEnv, *, flat: bool) -> Any:
    """The space of one action: module and delta, or logits and deltas in one vector."""
    if flat:
        return spaces.Box(-1.0, 1.0, (len(env.instrument.modules) + env.n_params,), np.float32)
    delta = spaces.Box(-1.0, 1.0, (env.n_params,), np.float32)
    return spaces.Dict({"module": spaces.Discrete(len(env.instrument.modules)), "delta": delta})


class _Views:
    """How observations and actions are handed over; shared by both adapters."""

    def __init__(self, env: MatchEnv, params: EnvParams, *, flat_obs: bool, flat_action: bool) -> None:
        self.env, self.flat_obs, self.flat_action = env, flat_obs, flat_action
        self.modules = env.module_mask(params)

    def action(self, given: Any) -> Any:
        """Arrays of one or many actions."""
        if not self.flat_action:
            delta = jnp.asarray(given["delta"], jnp.float32)
            return {"module": jnp.asarray(given["module"], jnp.int32), "delta": delta}
        flat = jnp.asarray(given, jnp.float32)
        decode = from_flat if flat.ndim == 1 else jax.vmap(from_flat, in_axes=(0, None))
        return decode(flat, self.modules)

    def obs(self, obs: Any) -> Any:
        """One or many observations as arrays of their own."""
        return _numpy(self.env.flat(obs) if self.flat_obs else obs)


class GymMatch(gymnasium.Env):
    """One episode at a time; `reset` begins a new one, `step` never does."""

    metadata = {"render_modes": []}

    def __init__(
        self,
        env: MatchEnv,
        params: EnvParams,
        *,
        flat_obs: bool = False,
        flat_action: bool = False,
        episodic_reward: Episodic | None = None,
    ) -> None:
        """Nothing is rendered yet.

        Args:
            env: the environment.
            params: of a stage; `set_params` changes them.
            flat_obs: whether an observation is one vector.
            flat_action: whether an action is one vector.
            episodic_reward: added to the reward of an episode's last step.
        """
        self._params, self._state, self._ended = params, None, False
        self._episodic = episodic_reward
        self._views = _Views(env, params, flat_obs=flat_obs, flat_action=flat_action)
        self.observation_space = observation_space(env, flat=flat_obs)
        self.action_space = action_space(env, flat=flat_action)
        self._reset, self._step = jax.jit(env.reset), jax.jit(env.step)
        self._key = jax.random.key(0)

    def set_params(self, params: EnvParams) -> None:
        """Another stage's parameters, from the next reset on."""
        self._params, self._state = params, None
        self._views.modules = self._views.env.module_mask(params)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new episode; `options` are ignored."""
        super().reset(seed=seed)
        self._key = jax.random.key(int(self.np_random.integers(1 << 31)))
        obs, self._state = self._reset(self._key, self._params)
        self._ended = False
        return self._views.obs(obs), {"loss": float(self._state.loss)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One edit.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset, or after the episode's end.
        """
        if self._state is None or self._ended:
            raise gymnasium.error.ResetNeeded("the episode has ended or not begun: call reset() first")
        found = self._step(self._key, self._state, self._views.action(action), self._params)
        self._state = found.state
        terminated, truncated = bool(found.terminated), bool(found.truncated)
        self._ended = terminated or truncated
        reward, info = float(found.reward), _numpy(found.info)
        if self._episodic is not None:
            final = jax.tree.map(lambda x: x[None], final_of(found.state))
            bonus = self._episodic(self._params, final, np.array([self._ended]))[0]
            reward, info["reward"] = reward + float(bonus), info["reward"] | {EPISODIC: bonus}
        return self._views.obs(found.obs), reward, terminated, truncated, info

    @property
    def state(self) -> Any:
        """The episode's state, with its history; None before the first reset."""
        return self._state


class GymMatchVector(vector.VectorEnv):
    """Many episodes in one compiled step; an episode that ends is followed by a new one in the same step.

    `info["final_obs"]` holds the last observations of the ended episodes (None elsewhere) and
    `info["final_info"]` their last step's info with `episode_return` and `episode_length`;
    `_final_obs` and `_final_info` say where.
    """

    metadata = {"render_modes": [], "autoreset_mode": vector.AutoresetMode.SAME_STEP}

    def __init__(
        self,
        env: MatchEnv,
        params: EnvParams,
        *,
        num_envs: int,
        flat_obs: bool = False,
        flat_action: bool = False,
        chunk: int | None = None,
        episodic_reward: Episodic | None = None,
    ) -> None:
        """Nothing is rendered yet.

        Args:
            env: the environment.
            params: of a stage; `set_params` changes them.
            num_envs: episodes side by side.
            flat_obs: whether an observation is one vector.
            flat_action: whether an action is one vector.
            chunk: see `AutoReset`; what suits this machine if None.
            episodic_reward: added to the reward of an episode's last step.
        """
        self.num_envs, self._params, self._episodic = num_envs, params, episodic_reward
        self._views = _Views(env, params, flat_obs=flat_obs, flat_action=flat_action)
        self.single_observation_space = observation_space(env, flat=flat_obs)
        self.single_action_space = action_space(env, flat=flat_action)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        many = AutoReset(env, num_envs, default_chunk() if chunk is None else chunk)
        # The state is handed over, so that the targets in it are not copied at every step.
        self._reset, self._step = jax.jit(many.reset), jax.jit(many.step, donate_argnums=1)
        self._state: Any = None

    def set_params(self, params: EnvParams) -> None:
        """Another stage's parameters; running episodes end with the next reset."""
        self._params, self._state = params, None
        self._views.modules = self._views.env.module_mask(params)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """New episodes everywhere; `options` are ignored."""
        super().reset(seed=seed)
        obs, self._state = self._reset(self._next_key(), self._params)
        return self._views.obs(obs), {"loss": np.array(self._state.env.loss)}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One edit in every episode.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("no episode has begun: call reset() first")
        found = self._step(self._next_key(), self._state, self._views.action(actions), self._params)
        self._state = found.state
        terminated, truncated = np.array(found.terminated), np.array(found.truncated)
        done, info = terminated | truncated, dict(found.info)
        # Double precision, as gymnasium's own vector environments return rewards.
        reward = np.array(found.reward, np.float64)
        final_obs, final = info.pop("final_obs"), info.pop("final")
        ended = _numpy({name: info.pop(name) for name in ("episode_return", "episode_length")})
        if self._episodic is not None:
            bonus = self._episodic(self._params, final, done)
            reward, ended["episode_return"] = reward + bonus, ended["episode_return"] + bonus
            info["reward"] = info["reward"] | {EPISODIC: bonus}
        said = _numpy(info)
        if done.any():
            said |= self._final(done, self._views.obs(final_obs), ended | _numpy(info))
        return self._views.obs(found.obs), reward, terminated, truncated, said

    def _final(self, done: np.ndarray, obs: Any, info: dict[str, Any]) -> dict[str, Any]:
        """What ended episodes leave, in gymnasium's form."""
        rows = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(done):
            rows[i] = jax.tree.map(lambda x, i=i: x[i].copy(), obs)
        return {"final_obs": rows, "_final_obs": done.copy(), "final_info": info, "_final_info": done.copy()}

    def _next_key(self) -> jax.Array:
        return jax.random.key(int(self.np_random.integers(1 << 31)))


def _numpy(tree: Any) -> Any:
    """Arrays that share no memory with the compiled program's."""
    return jax.tree.map(lambda x: np.array(x), tree)

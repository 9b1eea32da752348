"""The environment as gymnasium knows environments: one episode, or many with automatic reset.

    from ddsprl.env.adapters_gymnasium import GymMatch, GymMatchVector
    env = GymMatch(*make_env(config))                                  # gymnasium.Env
    envs = GymMatchVector(*make_env(config), num_envs=64)              # gymnasium.vector.VectorEnv

For agents that know neither dictionaries nor hybrid actions, `flat_obs=True` gives one vector and
`flat_action=True` takes one, with values in [-1, 1]; of a module and its deltas the selector's logits, then
the deltas.

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

from ddsprl.env.contract import Environment
from ddsprl.env.specs import Part, bounds, flatten
from ddsprl.env.wrappers import AutoReset, default_chunk

try:
    gymnasium: Any = importlib.import_module("gymnasium")
    spaces: Any = gymnasium.spaces
    vector: Any = importlib.import_module("gymnasium.vector")
    batch_space: Any = importlib.import_module("gymnasium.vector.utils").batch_space
except ImportError as missing:
    raise ImportError('gymnasium is not installed; it comes with `pip install "ddsprl[gym]"`') from missing

# Rewards `[n]` from parameters, what episodes leave, and which of them ended; an `EpisodicReward` is one.
Episodic = Callable[[Any, Any, np.ndarray], np.ndarray]
# Its name among the terms in `info["reward"]`.
EPISODIC = "episodic"


def observation_space(env: Environment, *, flat: bool) -> Any:
    """The space of one observation, from its fields."""
    fields = env.observation.fields
    if flat:
        return spaces.Box(*bounds(fields), dtype=np.float32)
    boxes = {f.name: spaces.Box(f.low, f.high, f.shape, np.float32) for f in fields}
    return spaces.Dict(boxes)


def action_space(env: Environment, *, flat: bool) -> Any:
    """The space of one action: as the environment takes it, or one vector."""
    if flat:
        return spaces.Box(-1.0, 1.0, (env.action.flat_size,), np.float32)
    return _space(env.action.parts)


def _space(parts: Any) -> Any:
    """The space of an action's parts: one, or some by name."""
    if isinstance(parts, Part):
        return spaces.Discrete(parts.choices) if parts.choices else spaces.Box(-1.0, 1.0, parts.shape)
    return spaces.Dict({name: _space(part) for name, part in parts.items()})


class _Views:
    """How observations and actions are handed over; shared by both adapters."""

    def __init__(self, env: Environment, params: Any, *, flat_obs: bool, flat_action: bool) -> None:
        self.env, self.flat_obs, self.flat_action = env, flat_obs, flat_action
        self.mask = env.mask(params)

    def action(self, given: Any) -> Any:
        """Arrays of one or many actions."""
        if not self.flat_action:
            return _arrays(self.env.action.parts, given)
        flat, decode = jnp.asarray(given, jnp.float32), self.env.action.from_flat
        return (decode if flat.ndim == 1 else jax.vmap(decode, in_axes=(0, None)))(flat, self.mask)

    def obs(self, obs: Any) -> Any:
        """One or many observations as arrays of their own."""
        return _numpy(flatten(obs, self.env.observation.fields) if self.flat_obs else obs)


def _arrays(parts: Any, given: Any) -> Any:
    """The parts of one or many actions as arrays."""
    if isinstance(parts, Part):
        return jnp.asarray(given, jnp.int32 if parts.choices else jnp.float32)
    return {name: _arrays(part, given[name]) for name, part in parts.items()}


class GymMatch(gymnasium.Env):
    """One episode at a time; `reset` begins a new one, `step` never does."""

    metadata = {"render_modes": []}

    def __init__(
        self,
        env: Environment,
        params: Any,
        *,
        flat_obs: bool = False,
        flat_action: bool = False,
        episodic_reward: Episodic | None = None,
    ) -> None:
        """Nothing is rendered yet.

        Args:
            env: the environment.
            params: of the environment; `set_params` changes them.
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

    def set_params(self, params: Any) -> None:
        """Other parameters, from the next reset on."""
        self._params, self._state = params, None
        self._views.mask = self._views.env.mask(params)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new episode; `options` are ignored."""
        super().reset(seed=seed)
        self._key = jax.random.key(int(self.np_random.integers(1 << 31)))
        obs, self._state = self._reset(self._key, self._params)
        self._ended = False
        return self._views.obs(obs), {"loss": float(self._views.env.score(self._state).loss)}

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
            final = jax.tree.map(lambda x: x[None], self._views.env.final(found.state))
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
        env: Environment,
        params: Any,
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
            params: of the environment; `set_params` changes them.
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
        self._score = jax.vmap(env.score)
        self._state: Any = None

    def set_params(self, params: Any) -> None:
        """Other parameters; running episodes end with the next reset."""
        self._params, self._state = params, None
        self._views.mask = self._views.env.mask(params)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """New episodes everywhere; `options` are ignored."""
        super().reset(seed=seed)
        obs, self._state = self._reset(self._next_key(), self._params)
        return self._views.obs(obs), {"loss": np.array(self._score(self._state.env).loss)}

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
        final_obs, final, _ = (info.pop(name) for name in ("final_obs", "final", "final_score"))
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

"""Tiny problems with known values, as recorded transitions, and one small agent that learns from all of them.

Observations are two numbers; there are three modules, the first with one knob, the second with two, the third
with none. Training is compiled once: what differs between probes is data.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.replay import Replay, add
from ddsprl.agents.sac import Sac, SacConfig, SacState, Temperatures
from ddsprl.agents.types import ActionSpec, Allowed, Seen, SeenSpec, Transition

ROWS, UPDATES, DISCOUNT = 1024, 1000, 0.5
CONFIG = SacConfig(
    network=NetworkConfig(width=32, blocks=1),
    discount=DISCOUNT,
    batch=64,
    updates_per_step=UPDATES,
    capacity=ROWS,
    actor_rate=3e-3,
    critic_rate=3e-3,
    target_rate=0.05,
    tune_temperatures=False,
)
ACTIONS = ActionSpec(3, (0, 1, 1))
AGENT = Sac(CONFIG, ACTIONS, SeenSpec(2))
A, B = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


def allowed(modules: list[int], knobs: list[int]) -> Allowed:
    return Allowed(jnp.asarray(modules, jnp.float32), jnp.asarray(knobs, jnp.float32))


def recorded(*, seen, module, delta, reward, terminated, after) -> Replay:
    """A full ring of transitions, each an array with `ROWS` rows."""
    step = Transition(
        Seen(jnp.asarray(seen, jnp.float32)),
        jnp.asarray(module),
        jnp.asarray(delta, jnp.float32),
        jnp.asarray(reward, jnp.float32),
        jnp.asarray(terminated),
        Seen(jnp.asarray(after, jnp.float32)),
    )
    return add(AGENT.new_replay(), step)


def random_actions(what: Allowed, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Modules `[ROWS]` and deltas `[ROWS, d]`, uniform among the allowed."""
    rng = np.random.default_rng(seed)
    module = rng.choice(np.nonzero(np.asarray(what.modules))[0], ROWS)
    delta = rng.uniform(-1.0, 1.0, (ROWS, ACTIONS.knobs)) * np.asarray(what.knobs)
    return module, delta * ACTIONS.belongs[module]


@jax.jit
def train(key: jax.Array, replay: Replay, what: Allowed, discrete, continuous) -> SacState:
    """An agent after `UPDATES` gradient steps at fixed temperatures."""
    first, learning = jax.random.split(key)
    temperatures = Temperatures(jnp.log(jnp.asarray(discrete)), jnp.log(jnp.asarray(continuous)))
    state = AGENT.init(first)._replace(temperatures=temperatures)
    return AGENT.learn(learning, state, replay, what)[0]


@jax.jit
def look(state: SacState, rest, delta, what: Allowed):
    """Probabilities `[m]`, centres of the deltas `[d]` and values `[2, m]` at one observation."""
    seen = Seen(jnp.asarray(rest))
    policy = AGENT.policy(state.actor, seen, what)
    q = AGENT.values(state.critic, seen, jnp.asarray(delta, jnp.float32), what)
    return jnp.exp(policy.log_module), policy.delta.centre(), q


act = jax.jit(partial(AGENT.act, greedy=True))

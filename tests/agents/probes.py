"""Tiny problems with known values, as recorded transitions, and one small agent that learns from all of them.

It learns as the training loop lets it: through the contract's `learn`. Observations are two numbers; there
are three modules, the second with two knobs, the others with one. Training is compiled once: what differs
between probes is data.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import Choice, LoopConfig, Seen, Share, Sight, Step, Transition, View, action_spec, add
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.replay import Replay
from ddsprl.agents.sac import Experience, Sac, SacAgent, SacConfig, SacState, Temperatures
from ddsprl.agents.types import SeenSpec
from ddsprl.env import Selector, Timestep

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
SPEC = Selector(3, (0, 1, 1, 2))
ACTIONS = action_spec(SPEC)
LOOP = LoopConfig(n_envs=1, learn_after=1, demo_share=0.0)


def agent_of(config: SacConfig) -> SacAgent:
    return SacAgent(Sac(config, ACTIONS, SeenSpec(2)), SPEC, Sight(("where",)), LOOP)


AGENT = agent_of(CONFIG)
A, B = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)


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
    return add(AGENT.sac.new_replay(), step)


def random_actions(mask: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Modules `[ROWS]` and deltas `[ROWS, d]`, uniform among what a mask `[d]` leaves."""
    rng = np.random.default_rng(seed)
    module = rng.choice(np.nonzero(np.asarray(ACTIONS.allowed(mask).modules))[0], ROWS)
    delta = rng.uniform(-1.0, 1.0, (ROWS, ACTIONS.knobs)) * mask
    return module, delta * ACTIONS.belongs[module]


def any_step() -> Step:
    """One that is remembered already: without slopes an agent learns from its experience alone."""
    zero, obs = jnp.zeros(1), {"where": jnp.zeros((1, 2))}
    action = SPEC.compose(zero.astype(int), jnp.zeros((1, ACTIONS.knobs)))
    choice = Choice(action, {name: Share(zero, zero) for name in AGENT.shares})
    view = View(obs, jnp.ones((1, ACTIONS.knobs)), zero.astype(int))
    return Step(view, choice, Timestep(obs, (), zero, zero > 0, zero > 0, {}), ())


def taught(agent: SacAgent, key: jax.Array, state: SacState, replay: Replay, mask):
    """State and metrics after the gradient steps of one iteration."""
    experience = Experience(replay, None, jnp.zeros((), jnp.int32))
    return agent.learn(key, state, experience, any_step(), jnp.asarray(mask, jnp.float32))


@jax.jit
def train(key: jax.Array, replay: Replay, mask, discrete, continuous) -> SacState:
    """An agent after `UPDATES` gradient steps at fixed temperatures."""
    first, learning = jax.random.split(key)
    temperatures = Temperatures(jnp.log(jnp.asarray(discrete)), jnp.log(jnp.asarray(continuous)))
    state = AGENT.init(first)._replace(temperatures=temperatures)
    return taught(AGENT, learning, state, replay, mask)[0]


@jax.jit
def look(state: SacState, rest, delta, mask):
    """Probabilities `[m]`, centres of the deltas `[d]` and values `[2, m]` at one observation."""
    seen, what = Seen(jnp.asarray(rest)), ACTIONS.allowed(mask)
    policy = AGENT.sac.policy(state.actor, seen, what)
    q = AGENT.sac.values(state.critic, seen, jnp.asarray(delta, jnp.float32), what)
    return jnp.exp(policy.log_module), policy.delta.centre(), q


act = jax.jit(partial(AGENT.sac.act, greedy=True))

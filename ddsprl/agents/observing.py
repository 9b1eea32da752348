"""The environment's observations, actions and steps as an agent's records, and back."""

from itertools import accumulate

import jax
import jax.numpy as jnp

from ddsprl.agents.returning import Memory
from ddsprl.agents.types import ActionSpec, Seen, SeenSpec, Transition
from ddsprl.env.match.observation import Field
from ddsprl.env.match.types import EnvParams, EnvState, Observation, Timestep
from synth_jax.params import Table, module_of_knob, modules_of

# `time` is left out because a time limit is no part of the task, `modules` because it comes as `Allowed`.
REST = ("deltas", "knobs", "best", "note")


def parts(*, finite_horizon: bool, guess: bool = False) -> tuple[str, ...]:
    """Names of what is observed beside the pictures.

    Args:
        finite_horizon: whether the time limit is a part of the task, and its end an end.
        guess: whether the environment observes a guess at the target's knobs.
    """
    return REST + ("guess",) * guess + ("time",) * finite_horizon


def seen_of(obs: Observation, rest: tuple[str, ...] = REST) -> Seen:
    """An observation for the networks; leading axes are kept.

    Args:
        obs: with `current`, `target` and the named parts.
        rest: names of the other parts, each a vector.
    """
    return Seen(jnp.concatenate([obs[name] for name in rest], axis=-1), obs["current"], obs["target"])


def turn_of(obs: Observation, steps: int) -> jax.Array:
    """Edits already made in the episode, int; leading axes are kept.

    Args:
        obs: with `time`.
        steps: of a whole episode, T.
    """
    return jnp.round(obs["time"][..., 0] * steps).astype(jnp.int32)


def memory_of(state: EnvState, params: EnvParams, mode: str) -> Memory:
    """What a player remembers of its own knobs; leading axes are kept.

    Args:
        state: of the episode.
        params: of the environment.
        mode: what its actions are, `delta` or `absolute`.
    """
    away = state.best.u - state.u
    back = 2.0 * state.best.u - 1.0 if mode == "absolute" else away / params.delta_max
    return Memory(away, back, state.t - state.best.step)


def seen_spec(layout: tuple[Field, ...], rest: tuple[str, ...] = REST) -> SeenSpec:
    """Shapes of `seen_of`, from the environment's layout."""
    fields = {field.name: field for field in layout}
    bands, frames = fields["current"].shape
    first = dict(zip(rest, accumulate((fields[name].size for name in rest), initial=0), strict=False))
    guess = (first["guess"], first["knobs"]) if "guess" in first else None
    return SeenSpec(sum(fields[name].size for name in rest), (bands, frames), guess)


def action_spec(table: Table) -> ActionSpec:
    """Modules and knobs of an instrument's table."""
    return ActionSpec(len(modules_of(table)), tuple(int(i) for i in module_of_knob(table)))


def transition_of(
    obs: Observation, module: jax.Array, delta: jax.Array, step: Timestep, rest: tuple[str, ...] = REST
) -> Transition:
    """What a step taught; leading axes are kept.

    Where the networks see the time, truncation counts as termination: what comes after it is worth nothing.

    Args:
        obs: before the step.
        module: of the action.
        delta: likewise.
        step: what came back. Behind an automatic reset its last observation is `info["final_obs"]`.
        rest: as in `seen_of`.
    """
    after = step.info.get("final_obs", step.obs)
    ended = step.terminated | step.truncated if "time" in rest else step.terminated
    return Transition(seen_of(obs, rest), module, delta, step.reward, ended, seen_of(after, rest))

"""The environment's observations, actions and steps as the networks' records, and back."""

from dataclasses import dataclass
from itertools import accumulate

import jax.numpy as jnp

from ddsprl.agents import types
from ddsprl.agents.types import Seen, SeenSpec, Transition
from ddsprl.env import Action, ActionSpec, Observation, ObservationSpec, Timestep


@dataclass(frozen=True)
class Sight:
    """What networks read of an observation; hashable.

    Attributes:
        vectors: names of the vectors, in order.
        pictures: names of what is and of what is asked for; None without pictures.
        finite: whether the time is among the vectors, so that a time limit counts as an end.
    """

    vectors: tuple[str, ...]
    pictures: tuple[str, str] | None = None
    finite: bool = False


def sight_of(spec: ObservationSpec, *, finite_horizon: bool = False) -> Sight:
    """What is read in an environment.

    Args:
        spec: of its observations.
        finite_horizon: whether the time limit is a part of the task, and its end an end.

    Raises:
        ValueError: the time is to be read and is not observed.
    """
    if finite_horizon and spec.clock is None:
        raise ValueError("loop.finite_horizon is true, but the environment does not observe the time")
    clock = (spec.clock,) if finite_horizon and spec.clock is not None else ()
    return Sight(spec.vectors + clock, spec.pictures, finite_horizon)


def seen_of(obs: Observation, sight: Sight) -> Seen:
    """An observation for the networks; leading axes are kept."""
    rest = jnp.concatenate([obs[name] for name in sight.vectors], axis=-1)
    return Seen(rest, *(obs[name] for name in sight.pictures or ()))


def seen_spec(spec: ObservationSpec, sight: Sight) -> SeenSpec:
    """Shapes of `seen_of`."""
    fields = {field.name: field for field in spec.fields}
    sizes = [fields[name].size for name in sight.vectors]
    first = dict(zip(sight.vectors, accumulate(sizes, initial=0), strict=False))
    picture = None if sight.pictures is None else fields[sight.pictures[0]].shape
    guess = None if spec.guess is None else (first[spec.guess[0]], first[spec.guess[1]])
    return SeenSpec(sum(sizes), None if picture is None else (picture[0], picture[1]), guess)


def action_spec(spec: ActionSpec) -> types.ActionSpec:
    """Groups of an environment's actions as the networks' modules, and their numbers as knobs."""
    return types.ActionSpec(spec.groups, spec.group_of_number)


def transition_of(
    obs: Observation, action: Action, step: Timestep, spec: ActionSpec, sight: Sight
) -> Transition:
    """What a step taught; leading axes are kept.

    Where the networks see the time, truncation counts as termination: what comes after it is worth nothing.

    Args:
        obs: before the step.
        action: what was done.
        step: what came back. Behind an automatic reset its last observation is `info["final_obs"]`.
        spec: of the action.
        sight: what is read.
    """
    after = step.info.get("final_obs", step.obs)
    ended = step.terminated | step.truncated if sight.finite else step.terminated
    module, delta = spec.split(action)
    return Transition(seen_of(obs, sight), module, delta, step.reward, ended, seen_of(after, sight))

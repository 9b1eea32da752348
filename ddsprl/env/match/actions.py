"""Actions: a module and a delta, and what they do to the knobs.

    {"module": 1, "delta": [d]}       delta in [-1, 1], as a policy's tanh gives it; times delta_max

The delta moves the unlocked knobs of the chosen module; the others ignore theirs. Knobs are clamped to
[0, 1]. A discrete knob's position accumulates like any other and only its nearest choice is heard, so small
deltas cross to the next choice after some steps, and a large one at once. In the mode `absolute` the same
numbers name positions, -1 the lowest and 1 the highest, and the knobs go there in one step.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env.specs import Action
from synth_jax.params import Table, clip_unit, module_of_knob, modules_of

MODES = ("delta", "absolute")


def module_mask(free: jax.Array, table: Table) -> jax.Array:
    """1 for modules with an unlocked knob, `[m]`, from the knobs' mask `[d]`."""
    belongs = module_of_knob(table)[None, :] == np.arange(len(modules_of(table)))[:, None]
    return jnp.max(jnp.where(belongs, free[None, :], 0.0), axis=1)


def decode(action: Action, free: jax.Array, delta_max: jax.Array, table: Table) -> jax.Array:
    """The move that an action asks for, `[d]`, in knob positions.

    Args:
        action: `module` scalar int and `delta [d]`; beyond -1 to 1 a delta is clipped.
        free: `[d]`.
        delta_max: scalar.
        table: of the instrument.
    """
    chosen = jnp.asarray(module_of_knob(table)) == action["module"]
    delta = 2.0 * clip_unit(0.5 * (action["delta"] + 1.0)) - 1.0
    return jnp.where(chosen, free, 0.0) * delta_max * delta


def decode_absolute(action: Action, u: jax.Array, free: jax.Array, table: Table) -> jax.Array:
    """The move to the positions that an action names, `[d]`, in knob positions.

    Args:
        action: `module` scalar int and `delta [d]`; beyond -1 to 1 a delta is clipped.
        u: positions before it, `[d]`.
        free: `[d]`.
        table: of the instrument.
    """
    chosen = jnp.asarray(module_of_knob(table)) == action["module"]
    return jnp.where(chosen, free, 0.0) * (clip_unit(0.5 * (action["delta"] + 1.0)) - u)


def apply(u: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positions after a move, clamped, and the move that was left of it; `[d]` each.

    The clamp has the slope of a straight line everywhere (Bengio et al. 2013, arXiv:1308.3432): whoever
    pushes a knob against its stop would else never be told that the sound wants it back.
    """
    asked = u + move
    moved = asked + jax.lax.stop_gradient(clip_unit(asked) - asked)
    return moved, moved - u

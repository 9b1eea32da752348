"""A batched pure function, spread over all devices along its batch axis.

    render = shard_batch(jax.vmap(synth.render))      # [batch, d], Note of [batch], keys [batch]
    audio = render(u, notes, keys)                    # the same numbers, from all devices there are

Examples do not depend on one another, so each device runs the whole function on its share, without a word
between devices (`jax.shard_map`). With one device this is `jax.jit`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

BATCH_AXIS = "batch"
InAxes = int | None | Sequence[int | None]


def shard_batch(
    function: Callable[..., Any], *, in_axes: InAxes = 0, devices: Sequence[Any] | None = None
) -> Callable[..., Any]:
    """Compile a batched function so that its batch is shared out over devices.

    A batch that the devices cannot share evenly is filled up with copies of its last example, whose results
    are dropped.

    Args:
        function: pure; positional pytree arguments. Every leaf of its result has the batch as first axis, and
            example i of the result depends only on example i of the batched arguments. Such is a `jax.vmap`.
        in_axes: 0 for arguments with the batch as first axis of every leaf, None for those that all examples
            share; one for all arguments, or one for each.
        devices: `jax.Device`s to run on; all of the default backend if None.

    Returns:
        The compiled function; arguments and results as those of `function`.

    Raises:
        ValueError: an `in_axes` other than 0 or None, or no device. At the call: no batched argument, an
            empty batch, or batched leaves of different lengths.
    """
    axes = in_axes if in_axes is None or isinstance(in_axes, int) else tuple(in_axes)
    for axis in axes if isinstance(axes, tuple) else (axes,):
        if axis not in (0, None):
            raise ValueError(f"in_axes: {axis!r} is not 0 (batched) or None (shared)")
    chosen = jax.devices() if devices is None else list(devices)
    if not chosen:
        raise ValueError("devices: none given")
    # One device that nobody asked for by name is where everything runs anyway.
    mesh = None if devices is None and len(chosen) == 1 else Mesh(np.array(chosen), (BATCH_AXIS,))
    return jax.jit(functools.partial(_run, function, axes, mesh))


def _run(function: Callable[..., Any], axes: Any, mesh: Mesh | None, *args: Any) -> Any:
    """Fill the batch up to a multiple of the devices, run one share on each, and drop what was filled in."""
    axes = axes if isinstance(axes, tuple) else (axes,) * len(args)
    if len(axes) != len(args):
        raise ValueError(f"in_axes: {len(axes)} for {len(args)} arguments")
    size = _batch_size(args, axes)
    if mesh is None:
        return function(*args)
    padded = -(-size // mesh.size) * mesh.size
    if padded != size:
        rows = np.minimum(np.arange(padded), size - 1)
        args = tuple(
            arg if axis is None else jax.tree.map(lambda x: x[rows], arg)
            for arg, axis in zip(args, axes, strict=True)
        )
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec(BATCH_AXIS) for axis in axes)
    # Nothing is exchanged between devices, so there is nothing for the check of replication to find; it
    # would only reject loops whose first carry is a constant.
    shares = jax.shard_map(
        function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(BATCH_AXIS), check_vma=False
    )
    result = shares(*args)
    return result if padded == size else jax.tree.map(lambda x: x[:size], result)


def _batch_size(args: Sequence[Any], axes: Sequence[int | None]) -> int:
    """Length of the first axis of all batched leaves, which must agree."""
    leaves = [
        leaf for arg, axis in zip(args, axes, strict=True) if axis == 0 for leaf in jax.tree.leaves(arg)
    ]
    if any(leaf.ndim == 0 for leaf in leaves):
        raise ValueError("a batched argument holds a scalar; give it a batch axis, or None in in_axes")
    sizes = {leaf.shape[0] for leaf in leaves}
    if len(sizes) != 1 or not min(sizes):
        found = sorted(sizes) or "none"
        raise ValueError(f"batched arguments need one common, positive length; found {found}")
    return sizes.pop()

"""Counts NaN and infinite gradients of the flagship's 25 knobs, midi and gate at many random points.

    python benchmarks/gradient_finite.py [--points 10000] [--out benchmarks/results/gradient_finite.json]

Every fourth point has some knobs exactly at 0, 1/2 or 1, and every eighth has all its levels at 0.
"""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import synth_jax
from _common import RESULTS
from ddsprl.io.output import versions, write_json
from synth_jax.params import Table

SAMPLE_RATE, DURATION_S, BATCH = 16_000, 0.25, 250


def points(count: int, table: Table, seed: int) -> np.ndarray:
    """Random knob positions with a share of them on the stops, `[count, d]`."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(size=(count, len(table)))
    stops = rng.choice([0.0, 0.5, 1.0], size=u.shape)
    u[::4] = np.where(rng.uniform(size=u[::4].shape) < 0.3, stops[::4], u[::4])
    u[::8, [i for i, spec in enumerate(table) if "level" in spec.name]] = 0.0
    return u.astype(np.float32)


def main() -> None:
    """Differentiate, count, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "gradient_finite.json")
    options = parser.parse_args()
    synth = synth_jax.serum_lite(sample_rate=SAMPLE_RATE, duration_s=DURATION_S)
    direction = jnp.asarray(np.random.default_rng(1).standard_normal(synth.n_samples), jnp.float32)

    def value(u, note, key):
        return jnp.vdot(direction, synth.render(u, note, key))

    gradient = jax.jit(jax.vmap(jax.value_and_grad(value, argnums=(0, 1))))
    rng, bad = np.random.default_rng(options.seed + 1), 0
    u = points(options.points, synth.table, options.seed)
    began = time.perf_counter()
    for start in range(0, options.points, BATCH):
        batch = u[start : start + BATCH]
        midi, gate_s = rng.uniform(0.0, 127.0, len(batch)), rng.uniform(0.0, DURATION_S, len(batch))
        note = synth_jax.Note(*(jnp.asarray(x, jnp.float32) for x in (midi, gate_s, np.ones(len(batch)))))
        keys = jax.random.split(jax.random.key(start), len(batch))
        out = jax.tree.leaves(gradient(jnp.asarray(batch), note, keys))
        finite = np.all([np.isfinite(np.asarray(x)).reshape(len(batch), -1).all(axis=1) for x in out], axis=0)
        bad += int(np.sum(~finite))
    seconds = time.perf_counter() - began
    print(f"{options.points} points, {bad} with a value or gradient that is not finite, {seconds:.0f} s")
    result = {"points": options.points, "not_finite": bad, "seed": options.seed, "seconds": seconds}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {**result, "versions": versions()})


if __name__ == "__main__":
    main()

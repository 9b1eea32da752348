"""Sharing a batch out over devices changes where it runs and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.sharding import shard_batch

DEVICES = 4

# Runs in a process of its own: the number of host devices is fixed when JAX starts.
CHECKS = """
import jax, jax.numpy as jnp, numpy as np
import synth_jax
from ddsprl.sharding import shard_batch

assert jax.device_count() == 4, jax.devices()
synth = synth_jax.serum_lite(sample_rate=8_000, duration_s=0.05)

def loss(u, note, key, scale):
    return jnp.sum(jnp.square(synth.render(u, note, key))) * scale

def both(u, note, key, scale):
    value, slope = jax.vmap(jax.value_and_grad(loss), in_axes=(0, 0, 0, None))(u, note, key, scale)
    return {"value": value, "slope": slope, "audio": jax.vmap(synth.render)(u, note, key)}

def arguments(batch):
    u = jax.random.uniform(jax.random.key(0), (batch, synth.n_params))
    note = synth_jax.Note(jnp.linspace(40.0, 80.0, batch), jnp.full(batch, 0.03), jnp.ones(batch))
    return u, note, jax.random.split(jax.random.key(1), batch), jnp.asarray(2.0)

plain, sharded = jax.jit(both), shard_batch(both, in_axes=(0, 0, 0, None))
for batch in (8, 6):    # shared evenly, and filled up by two
    expected, found = plain(*arguments(batch)), sharded(*arguments(batch))
    for name in expected:
        assert found[name].shape == expected[name].shape, name
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=2e-5, err_msg=name)
    if batch == 8:
        shards = found["audio"].addressable_shards
        assert len({shard.device for shard in shards}) == 4
        assert {shard.data.shape[0] for shard in shards} == {2}

# Nothing may be exchanged between the devices.
text = sharded.lower(*arguments(8)).compile().as_text()
assert not any(word in text for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"))

# Two of the four, by name.
pair = shard_batch(lambda x: x * 2.0, devices=jax.devices()[2:])
out = pair(jnp.arange(4.0))
assert {shard.device for shard in out.addressable_shards} == set(jax.devices()[2:])
print("checked")
"""


# Searches, whose results are kept in a file.
SEARCH = """
import jax, numpy as np, laws
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.core.solve import solve

def found():
    targets = [laws.bowls(np.clip(laws.BEST - 0.1 * i, 0.0, 1.0)) for i in range(3)]
    targets = jax.tree.map(lambda *x: np.concatenate(x), *targets)
    starts, keys = np.repeat(laws.far_starts(), 3, axis=0), jax.random.split(jax.random.key(4), 3)
    solver = make_solver("hybrid", replicas=2, probes=4)
    got = solve(laws.BOWL, solver, targets, starts, keys, budget=400)
    return {"u": got.u, "loss": got.loss, "curve": got.course.loss, "renders": got.course.renders[0]}
"""
INVERSION = """
import jax, numpy as np, ddsprl
from ddsprl.fitting.inversion.inverter import InversionConfig
from ddsprl.fitting.inversion.invert import Setup
from ddsprl.fitting.starts.library import LibraryConfig

def found():
    t = np.arange(2_000) / 8_000
    sounds = [0.4 * np.sin(2 * np.pi * hz * t) * np.exp(-8 * t) for hz in (220.0, 262.0, 330.0)]
    config = InversionConfig(candidates=16, library=LibraryConfig(size=64))
    got = ddsprl.invert(
        np.stack(sounds), 8_000, key=jax.random.key(4), midi=60.0, gate_s=0.2, method="random",
        start="neutral", budget=129, setup=Setup(config=config),
    )
    about = {"yardstick": got.verdict.yardstick, "curve": got.course.loss, "renders": got.course.renders}
    return {"u": got.u, "loss": got.loss, "audio": got.audio, "midi": got.task.note.midi} | about
"""
KEEP = """
import sys
assert jax.device_count() == int(sys.argv[2]), jax.devices()
np.savez(sys.argv[1], **found())
"""


def on_devices(count: int, script: str, *arguments: str) -> str:
    """What a script prints in a process with so many devices."""
    root = Path(__file__).resolve().parent.parent
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
    }
    compiled = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if compiled:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_results_on_forced_host_devices_equal_the_unsharded():
    assert on_devices(DEVICES, CHECKS) == "checked"


@pytest.mark.slow
@pytest.mark.parametrize("script", [SEARCH, INVERSION], ids=["search", "inversion"])
def test_three_targets_on_two_devices_are_found_as_on_one(script, tmp_path):
    """The second device, or the second group, has one target to do, and is filled up."""
    results = []
    for count in (1, 2):
        path = tmp_path / f"{count}.npz"
        on_devices(count, script + KEEP, str(path), str(count))
        with np.load(path, allow_pickle=False) as stored:
            results.append({name: stored[name] for name in stored.files})
    alone, shared = results
    assert set(alone) == set(shared)
    for name, values in alone.items():
        assert shared[name].shape == values.shape, name
        assert values.shape[0] == 3 or name == "renders"
        np.testing.assert_allclose(shared[name], values, rtol=2e-3, atol=2e-4, err_msg=name)


def test_mesh_of_one_named_device_gives_the_same():
    x = jnp.arange(6.0).reshape(3, 2)
    found = shard_batch(jnp.sin, devices=jax.devices()[:1])(x)
    np.testing.assert_allclose(found, np.sin(x), rtol=1e-6)


def test_one_trace_per_shape():
    traces = []

    def double(x):
        traces.append(x.shape)
        return 2.0 * x

    run = shard_batch(double)
    for batch in (4, 4, 8, 8):
        run(jnp.ones(batch))
    assert len(traces) == len(set(traces))


def test_shared_argument_needs_no_batch_axis():
    run = shard_batch(lambda x, y: x + y, in_axes=(0, None))
    np.testing.assert_array_equal(run(jnp.arange(3.0), jnp.asarray(1.0)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("axes", [1, (0, -1)])
def test_other_axes_are_refused(axes):
    with pytest.raises(ValueError, match="in_axes"):
        shard_batch(jnp.add, in_axes=axes)


def test_no_device_is_refused():
    with pytest.raises(ValueError, match="devices"):
        shard_batch(jnp.sin, devices=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((jnp.ones(3), jnp.ones(4)), r"found \[3, 4\]"),
        ((jnp.ones(0), jnp.ones(0)), "positive length"),
        ((jnp.ones(3), jnp.asarray(1.0)), "scalar"),
        ((jnp.ones(3),), "2 for 1 arguments"),
    ],
)
def test_batches_that_do_not_fit_are_refused(arguments, message):
    run = shard_batch(jnp.add, in_axes=(0, 0))
    with pytest.raises(ValueError, match=message):
        run(*arguments)


def test_nothing_batched_is_refused():
    with pytest.raises(ValueError, match="found none"):
        shard_batch(jnp.sin, in_axes=None)(jnp.ones(3))

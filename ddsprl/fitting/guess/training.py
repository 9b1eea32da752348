"""`python -m ddsprl.fitting.guess.training --renders N --out FILE`: train a guess on random presets.

Presets are uniform and snapped, notes uniform in pitch and log-uniform in gate, some held for the whole clip;
every one is rendered once and its features kept, 9 kB a clip. Where the instrument has symmetries
(`synth_jax.knowledge.Symmetries`), a clip is another one of its equals at every pass: the same features, or
some that are known without another render, and the knobs of a preset that sounds so. The network does not
learn the clips by heart so soon, and is trained for longer. The shipped weights come from

    python -m ddsprl.fitting.guess.training --out ddsprl/fitting/guess/data/NAME.npz
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.fitting.guess.clips import Clips, equals_of, heard_clip
from ddsprl.fitting.guess.features import (
    DURATION_S,
    HIGHEST_MIDI,
    LOWEST_MIDI,
    RATE_HZ,
    SHORTEST_GATE_S,
    GuessFeatures,
)
from ddsprl.fitting.guess.header import GuessHeader
from ddsprl.fitting.guess.model import Guess, Variables, save_guess, standardized
from ddsprl.fitting.guess.network import GuessNetwork
from ddsprl.io import UserError, did_you_mean, ensure_output, run_cli
from ddsprl.plant import in_chunks
from synth_jax import INSTRUMENTS, Instrument, Note
from synth_jax.instruments import DEFAULT_INSTRUMENT
from synth_jax.params import table_digest

# A fifth of the gates lasts longer than the clip: such a key is never seen to be let go.
LONGEST_GATE_S = 0.8
CHUNK, TOGETHER = 4096, 64
VALIDATION_CHUNK = 1_000_000  # keys of validation clips are far from those of training
SMALLEST_SCALE = 0.02
WARMUP = 200


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a guess is trained.

    Attributes:
        instrument: whose knobs.
        renders: training clips.
        validation: clips rendered beside them, to say how good it is; nothing is chosen by them.
        seed: of everything random.
        symmetries: whether the instrument's symmetries are used.
        epochs: passes over the clips.
        batch: clips a step.
        rate: highest learning rate.
        decay: of the weights.
        dropout: share of hidden values left out.
        components: of the mixture.
        hidden: width of the network.
        shared: width of its layers over frames.
    """

    instrument: str = DEFAULT_INSTRUMENT
    renders: int = 65_536
    validation: int = 4096
    seed: int = 0
    symmetries: bool = True
    epochs: int = 64
    batch: int = 256
    rate: float = 1.5e-3
    decay: float = 0.02
    dropout: float = 0.2
    components: int = 32
    hidden: int = 768
    shared: int = 64


def draw_presets(key: jax.Array, count: int, instrument: Instrument) -> tuple[jax.Array, Note]:
    """Uniform presets, snapped, and notes; every leaf `[count, ...]`."""
    knobs, pitch, hold = jax.random.split(key, 3)
    u = instrument.snap(jax.random.uniform(knobs, (count, instrument.n_params)))
    midi = jax.random.uniform(pitch, (count,), minval=LOWEST_MIDI, maxval=HIGHEST_MIDI)
    low, high = np.log(SHORTEST_GATE_S), np.log(LONGEST_GATE_S)
    gate_s = jnp.exp(jax.random.uniform(hold, (count,), minval=low, maxval=high))
    return u, Note(midi, gate_s, jnp.ones(count))


def render_clips(config: TrainingConfig, count: int, *, first_chunk: int = 0, say=print) -> Clips:
    """Random presets with their features; chunk i of a seed is the same whatever is asked for besides."""
    synth = INSTRUMENTS[config.instrument](RATE_HZ, DURATION_S)

    def one(u, note, key):
        return heard_clip(synth.knowledge.symmetries, synth.render(u, note, key), u, note)

    draw = jax.jit(partial(in_chunks, one, TOGETHER))
    presets = jax.jit(partial(draw_presets, count=CHUNK, instrument=synth))
    parts, begin = [], time.perf_counter()
    for i in range(-(-count // CHUNK)):
        chunk_key = jax.random.fold_in(jax.random.key(config.seed), first_chunk + i)
        key, noise = jax.random.split(chunk_key)
        u, notes = presets(key)
        # The last chunk is cut before it is rendered: what is charged is what is used.
        keep = min(CHUNK, count - i * CHUNK)
        u, notes, keys = jax.tree.map(lambda x: x[:keep], (u, notes, jax.random.split(noise, CHUNK)))  # noqa: B023
        parts.append(jax.tree.map(np.asarray, draw(u, notes, keys)))
        if (i + 1) % 8 == 0 or (i + 1) * CHUNK >= count:
            say(f"rendered {i * CHUNK + keep:,} of {count:,} clips, {time.perf_counter() - begin:.0f} s")
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def statistics_of(features: GuessFeatures) -> Variables:
    """Mean and scale of every feature over the first clips, rounded as they are stored."""

    def measure(x: np.ndarray) -> dict[str, np.ndarray]:
        x = x[:CHUNK].astype(np.float32)
        found = {"mean": x.mean(axis=0), "scale": x.std(axis=0) + SMALLEST_SCALE}
        return jax.tree.map(_rounded, found)

    return {name: measure(x) for name, x in features._asdict().items()}


def nll(
    network: GuessNetwork, statistics: Variables, params: Any, batch: Clips, key: jax.Array | None
) -> jax.Array:
    """Mean negative log density of the knobs of a batch; `key` turns dropout and input noise on."""
    features = jax.vmap(standardized, (0, None))(batch.features, statistics)

    def one(features, u, key):
        rngs = None if key is None else {"dropout": key}
        mixture: Any = network.apply({"params": params}, features, train=key is not None, rngs=rngs)
        return -mixture.log_density(u)

    keys = None if key is None else jax.random.split(key, len(batch.u))
    return jnp.mean(jax.vmap(one)(features, batch.u, keys))


def train(config: TrainingConfig, clips: Clips, *, say=print) -> Guess:
    """A guess trained on clips; its header says nothing of its validation yet."""
    synth = INSTRUMENTS[config.instrument](RATE_HZ, DURATION_S)
    network = GuessNetwork(
        synth.n_params, config.components, config.hidden, config.shared, dropout=config.dropout
    )
    statistics = statistics_of(clips.features)
    batch = min(config.batch, len(clips.u))
    steps = config.epochs * (len(clips.u) // batch)
    warmup = min(WARMUP, steps // 4)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.rate, warmup, steps, 0.01 * config.rate)
    optimizer = optax.adamw(schedule, weight_decay=config.decay)
    first_key, noise = jax.random.split(jax.random.key(config.seed))
    example = jax.tree.map(lambda x: jnp.asarray(x[0], jnp.float32), clips.features)
    params = jax.jit(network.init)(first_key, example)["params"]
    state = jax.jit(optimizer.init)(params)

    @jax.jit
    def step(params, state, batch: Clips, i):
        mapping, key = jax.random.split(jax.random.fold_in(noise, i))
        if config.symmetries:
            batch = equals_of(synth.knowledge.symmetries, mapping, batch)
        loss, slope = jax.value_and_grad(lambda p: nll(network, statistics, p, batch, key))(params)
        update, state = optimizer.update(slope, state, params)
        return optax.apply_updates(params, update), state, loss

    rng, begin, count = np.random.default_rng(config.seed), time.perf_counter(), 0
    for epoch in range(config.epochs):
        losses, order = [], rng.permutation(len(clips.u))
        for first in range(0, len(order) - batch + 1, batch):
            chosen = jax.tree.map(lambda x: x[np.sort(order[first : first + batch])], clips)  # noqa: B023
            params, state, loss = step(params, state, chosen, count)
            losses.append(loss)
            count += 1
        mean, seconds = float(jnp.mean(jnp.stack(losses))), time.perf_counter() - begin
        say(f"epoch {epoch + 1} of {config.epochs}: training NLL {mean:.3f}, {seconds:.0f} s")
    variables = {"params": jax.tree.map(_rounded, params), "statistics": statistics}
    header = GuessHeader(
        instrument=config.instrument,
        table=table_digest(synth.table),
        training_renders=len(clips.u),
        validation_renders=1,
        validation_nll=0.0,
        seed=config.seed,
        components=config.components,
        hidden=config.hidden,
        shared=config.shared,
    )
    return Guess(header, variables)


def validated(guess: Guess, clips: Clips) -> Guess:
    """The guess with its NLL on fresh clips in the header."""
    network, variables = guess.header.network(), guess.variables
    measure = jax.jit(lambda clip: nll(network, variables["statistics"], variables["params"], clip, None))
    parts = [jax.tree.map(lambda x: x[i : i + 1024], clips) for i in range(0, len(clips.u), 1024)]  # noqa: B023
    mean = float(np.average([float(measure(part)) for part in parts], weights=[len(p.u) for p in parts]))
    header = dataclasses.replace(guess.header, validation_renders=len(clips.u), validation_nll=mean)
    return Guess(header, variables)


def make_guess(config: TrainingConfig, *, say=print) -> Guess:
    """Render, train, validate."""
    guess = train(config, render_clips(config, config.renders, say=say), say=say)
    fresh = render_clips(config, config.validation, first_chunk=VALIDATION_CHUNK, say=say)
    guess = validated(guess, fresh)
    say(f"validation NLL {guess.header.validation_nll:.3f} on {len(fresh.u):,} fresh clips")
    return guess


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: _run(given))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in the house's one line."""

    def error(self, message: str):  # pyright: ignore[reportIncompatibleMethodOverride]
        raise UserError(f"{message}; see --help")


def _run(arguments: Sequence[str]) -> int:
    parser = _Parser(
        prog="python -m ddsprl.fitting.guess.training", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="npz file of weights; not overwritten")
    for field in dataclasses.fields(TrainingConfig):
        kind: Any = field.type
        known: Any = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument(
            f"--{field.name}", default=field.default, help=f"default {field.default}", **known
        )
    options = vars(parser.parse_args(arguments))
    out: Path = options.pop("out")
    config = TrainingConfig(**options)
    _check(config)
    ensure_output(out)
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: its directory does not exist")
    enable_compilation_cache()
    say = partial(print, flush=True)
    save_guess(out, make_guess(config, say=say))
    say(f"written to {out}, {out.stat().st_size:,} bytes")
    return 0


def _check(config: TrainingConfig) -> None:
    if config.instrument not in INSTRUMENTS:
        hint = did_you_mean(config.instrument, INSTRUMENTS)
        raise UserError(f"--instrument is {config.instrument!r}, there are {', '.join(INSTRUMENTS)}{hint}")
    for name in ("renders", "validation", "epochs", "batch", "components", "hidden", "shared"):
        if getattr(config, name) < 1:
            raise UserError(f"--{name} is {getattr(config, name)}, at least 1 is needed")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"--seed is {config.seed}, allowed are 0 to {2**32 - 1}")
    if not 0.0 <= config.dropout < 1.0:
        raise UserError(f"--dropout is {config.dropout:g}, allowed are 0 up to but not 1")
    if not 0.0 < config.rate <= 1.0:
        raise UserError(f"--rate is {config.rate:g}, allowed are over 0, up to 1")
    if not 0.0 <= config.decay <= 1.0:
        raise UserError(f"--decay is {config.decay:g}, allowed are 0 to 1")


def _rounded(x: Any) -> np.ndarray:
    """A value as half precision keeps it, in float32."""
    return np.asarray(x, np.float16).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())

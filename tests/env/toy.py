"""A small instrument with everything that a cheat could want, for fast tests of the environment."""

import functools

import jax
import jax.numpy as jnp

from ddsprl.env import EnvConfig, make_env, stage_params
from ddsprl.losses import ObjectiveConfig
from synth_jax import Instrument, Note
from synth_jax.instrument import make_instrument, n_samples
from synth_jax.knowledge import Knowledge, Stage
from synth_jax.params import ParamSpec, Table, to_physical

RATE, DURATION_S = 8_000, 0.125
TABLE: Table = (
    ParamSpec(name="level", low=0.0, high=1.0, default=0.5),
    ParamSpec(name="osc1_unison", low=1.0, high=7.0, default=1.0, integer=True),
    ParamSpec(name="noise_level", low=0.0, high=1.0, default=0.0),
    ParamSpec(name="tilt", low=0.5, high=3.0, default=1.0, module="FILTER"),
    ParamSpec(name="drive", low=1.0, high=20.0, default=1.0, scale="log", module="FILTER"),
    ParamSpec(name="amp_decay", low=0.01, high=1.0, default=0.2, scale="log", module="ENV"),
    ParamSpec(name="offset", low=-0.6, high=0.6, default=0.0, module="LFO"),
)
KNOWLEDGE = Knowledge(
    stages=(
        Stage("levels", ("level", "noise_level")),
        Stage("nothing", ()),
        Stage("envelope", ("amp_decay",)),
        Stage("unison", ("osc1_unison",)),
    )
)
OBJECTIVE = ObjectiveConfig(n_ffts=(512, 256), mel_n_fft=256)


@functools.cache
def toy() -> Instrument:
    """Harmonics of a note with a tilt, noise, a decay, an offset and a hard clip."""
    n = n_samples(RATE, DURATION_S)

    def render(u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
        level, voices, noise, tilt, drive, decay, offset = to_physical(u, TABLE)
        time_s = jnp.arange(n, dtype=u.dtype) / RATE
        k = jnp.arange(1.0, 8.0)
        f0_hz = 440.0 * jnp.exp2((note.midi - 69.0) / 12.0)
        gains = k**-tilt * jnp.clip(voices - k + 1.0, 0.0, 1.0)
        tone = gains @ jnp.sin(2.0 * jnp.pi * k[:, None] * f0_hz * time_s)
        sound = (0.3 * level * tone + 0.2 * noise * jax.random.normal(key, (n,))) * jnp.exp(-time_s / decay)
        return jnp.clip(note.velocity * drive * sound + offset, -1.0, 1.0)

    return make_instrument("toy", TABLE, RATE, DURATION_S, render, knowledge=KNOWLEDGE)


def toy_config(**settings) -> EnvConfig:
    given = {"steps": 12, "stage": 5, "bucket": 12, "epsilon": 0.5, "objective": OBJECTIVE}
    return EnvConfig(**(given | settings))


class Made:
    """An environment with its parameters and its compiled programs."""

    def __init__(self, config: EnvConfig, instrument: Instrument | None = None):
        self.env, self.params = make_env(config, instrument=instrument)
        # From the neutral patch, so that a test knows where an episode begins.
        self.cold = stage_params(self.env, config.stage, split="held_out", count=config.bucket)[0]
        self.reset = jax.jit(self.env.reset)
        self.reset_at = jax.jit(self.env.reset_at)
        self.step = jax.jit(self.env.step)
        self.d = self.env.n_params

    def act(self, module: int, **knobs: float):
        """An action by knob names; the deltas are in [-1, 1]."""
        names = [spec.name for spec in self.env.instrument.table]
        delta = jnp.zeros(self.d)
        for name, value in knobs.items():
            delta = delta.at[names.index(name)].set(value)
        return {"module": jnp.asarray(module), "delta": delta}

    def index(self, name: str) -> int:
        return [spec.name for spec in self.env.instrument.table].index(name)

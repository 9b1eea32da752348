"""One tiny inverter for all tests of the search: 8 kHz, a quarter of a second, 16 candidates."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting import InversionConfig, LibraryConfig, Target
from ddsprl.fitting.inversion.inverter import Inverter, make_problem
from synth_jax import Note

RATE, DURATION_S = 8_000, 0.25


@dataclass
class Tiny:
    """The inverter, with compiled programs for one candidate at a time."""

    inverter: Inverter

    def __post_init__(self):
        problem = self.inverter.problem
        self.table, self.synth = problem.instrument.table, problem.instrument
        self.draw = jax.jit(self.synth.render)
        self.prepare = jax.jit(problem.target)
        self.scores = jax.jit(problem.scores)

    def sound(self, u, note: Note, seed: int) -> np.ndarray:
        return np.asarray(self.draw(u, Note(*map(jnp.float32, note)), jax.random.key(seed)))

    def target(self, audio, note: Note, **settings) -> Target:
        return self.prepare(audio, Note(*map(jnp.float32, note)), **settings)

    def index(self, name: str) -> int:
        return [spec.name for spec in self.table].index(name)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    config = InversionConfig(candidates=16, library=LibraryConfig(size=64))
    return Tiny(Inverter(make_problem(RATE, DURATION_S), config))

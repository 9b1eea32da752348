"""The compiled programs of a match: targets analysed, candidates scored, finalists judged.

Programs take a group of targets at a time: one on a CPU, where a single target's candidates already fill
the cache, many on an accelerator. All shapes are fixed by the configuration, so that each program is compiled
once for a rate and length, whatever the number of targets.
"""

from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import Members, keep_distinct
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.programs import group_size, over_targets
from ddsprl.fitting.inversion.records import Verdict
from ddsprl.fitting.starts.library import Library, LibraryConfig
from ddsprl.fitting.starts.registry import StartRequest, make_starts
from ddsprl.losses.objective import Objective, ObjectiveConfig
from ddsprl.plant import Plant, in_chunks, make_instrument
from synth_jax import Note
from synth_jax.instruments import DEFAULT_INSTRUMENT

FINAL_KEYS = 8
# What a pitch is tried with: it needs no training, so that no pitch is at a disadvantage.
PITCH_START = "best"


@dataclass(frozen=True)
class InversionConfig:
    """Sizes of an inversion's programs.

    Attributes:
        candidates: presets that are scored together: tried for a pitch, or for the random reference.
        library: of random presets.
    """

    candidates: int = 256
    library: LibraryConfig = LibraryConfig()


class Inverter:
    """The compiled programs of one instrument and objective, and the library they start from.

    Attributes:
        problem: static.
        config: of the search.
        library: of random presets.
        scores: program; losses `[G, m]` of candidates `[G, m, d]`, given targets and a noise key each, `[G]`.
        judge: program; a `Verdict` for each of G targets, given members `[G, k, d]`, targets and keys `[G]`:
            all members with fresh noise keys, best first, and the details of the best.
    """

    def __init__(self, problem: Problem, config: InversionConfig, library: Library | None = None) -> None:
        """Nothing is compiled or rendered yet."""
        self.problem = problem
        self.config = config
        self.library = Library(problem.instrument, config.library) if library is None else library
        self._prepare = over_targets(self._target)
        self.scores = over_targets(problem.scores)
        self.judge = over_targets(self._judged)

    def prepare(self, audio, notes: Note, free, locked, window) -> Target:
        """Analyze a group of targets, `[G, n]`, once; knob vectors `[G, d]`, windows `[G, n]`."""
        return self._prepare(audio, notes, free, locked, window)

    def best_start(
        self, audio: np.ndarray, note: Note, key: jax.Array, window: np.ndarray | None = None
    ) -> float:
        """Best loss among the first candidates of one target at a note: how plausible the note is."""
        window = np.ones_like(audio) if window is None else window
        synth, count = self.problem.instrument, self.config.candidates
        request = StartRequest(synth, audio, note, count, key, self.library)
        candidates, _ = make_starts(PITCH_START, request)
        d = synth.n_params
        targets = self._alone(audio, note, np.ones(d), np.zeros(d), window)
        return float(self._score(candidates, targets, key).min())

    def _alone(self, audio, note: Note, free, locked, window) -> Target:
        """One target as a group of its copies, so that no other shape is compiled."""
        parts = (audio, *note, free, locked, window)
        wide = [np.broadcast_to(np.asarray(x, np.float32), (group_size(), *np.shape(x))) for x in parts]
        return self.prepare(wide[0], Note(*wide[1:4]), *wide[4:])

    def _score(self, u: np.ndarray, targets: Target, key: jax.Array) -> np.ndarray:
        """Losses of candidates `[m, d]` for a lone target, `[m]`."""
        wide = np.broadcast_to(u, (group_size(), *u.shape))
        return np.asarray(self.scores(wide, targets, self._keys(key)))[0]

    def _keys(self, key: jax.Array) -> jax.Array:
        return jnp.broadcast_to(key, (group_size(),))

    def _target(self, audio, note, free, locked, window) -> Target:
        return self.problem.target(audio, note, free=free, locked=locked, window=window)

    def _judged(self, members: Members, target: Target, key: jax.Array) -> Verdict:
        """Mean loss of every member, snapped, over fresh noise keys; details of the best."""
        problem = self.problem
        u = problem.instrument.snap(problem.constrain(members.u, target))
        keys = jax.random.split(key, FINAL_KEYS)
        pairs = [jnp.repeat(u, FINAL_KEYS, axis=0), jnp.tile(jnp.arange(FINAL_KEYS), u.shape[0])]
        losses = in_chunks(lambda x, k: problem.loss(x, target, keys[k]), problem.score_chunk, *pairs)
        ranked = keep_distinct(Members(u, losses.reshape(-1, FINAL_KEYS).mean(axis=1)), u.shape[0])
        best = ranked.u[0]
        sounds, terms, yardsticks = jax.lax.map(lambda k: problem.details(best, target, k), keys)
        terms = jax.tree.map(jnp.mean, terms)
        return Verdict(ranked, jnp.mean(yardsticks), terms, sounds[0])


def make_problem(
    sample_rate: int,
    duration_s: float,
    *,
    instrument: str = DEFAULT_INSTRUMENT,
    objective: ObjectiveConfig | None = None,
) -> Problem:
    """Problem for clips of a rate and length."""
    judge = Objective(ObjectiveConfig() if objective is None else objective, sample_rate)
    return Problem(Plant(make_instrument(instrument, sample_rate, duration_s)), judge)


@lru_cache(maxsize=8)
def default_inverter(
    sample_rate: int, n: int, config: InversionConfig, instrument: str = DEFAULT_INSTRUMENT
) -> Inverter:
    """The inverter for clips of `n` samples; the same one again for the same settings."""
    return Inverter(make_problem(sample_rate, n / sample_rate, instrument=instrument), config)

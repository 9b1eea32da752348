"""The compiled programs of a match, and the rounds of `--method rounds` that drive some of them.

Programs take a group of targets at a time: one on a CPU, where a single target's candidates already fill
the cache, many on an accelerator. All shapes are fixed by the configuration, so that each program is compiled
once for a rate and length, whatever the number of targets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.cues import envelope_cues, with_cues
from ddsprl.fitting.library import Library, LibraryConfig
from ddsprl.fitting.problem import Problem, Target
from ddsprl.fitting.programs import over_targets
from ddsprl.fitting.proposals import jumps
from ddsprl.fitting.search import Members, RoundSettings, empty_members, keep_distinct, search_round
from ddsprl.losses.objective import Objective, ObjectiveConfig
from ddsprl.plant import in_chunks, make_instrument
from synth_jax import Note
from synth_jax.units import midi_to_hz

# A gradient is charged as this many renders when a budget is spent; see benchmarks/gradient.py.
GRADIENT_COST = 3
FINAL_KEYS = 8


@dataclass(frozen=True)
class InversionConfig:
    """How a match is made.

    Attributes:
        members: candidates polished side by side.
        candidates: scored before every polish.
        steps: gradient steps a round.
        first_rate: learning rate at the start of the first round, in unbounded coordinates.
        last_rate: at the end of the last round.
        snapped_share: share of the rounds, at the end, with discrete knobs snapped.
        cue_share: share of the first candidates that get the target's own envelope.
        library: of random presets.
    """

    members: int = 16
    candidates: int = 256
    steps: int = 20
    first_rate: float = 0.12
    last_rate: float = 0.01
    snapped_share: float = 0.4
    cue_share: float = 0.25
    library: LibraryConfig = LibraryConfig()

    def rounds(self, budget: int) -> int:
        """Rounds that a budget pays for, at least 2."""
        cost = self.candidates + self.members * (1 + self.steps * GRADIENT_COST)
        return max(2, (budget - self.judgement) // cost)

    @property
    def judgement(self) -> int:
        """Renders after the last round: all members, then the best once more for its details."""
        return (self.members + 1) * FINAL_KEYS

    def snapped_from(self, rounds: int) -> int:
        """The first round, counted from 0, with discrete knobs snapped; the first and last are not both."""
        return max(1, rounds - max(1, round(self.snapped_share * rounds)))


class Final(NamedTuple):
    """Judgement of the members with fresh noise keys, of one target."""

    members: Members
    yardstick: jax.Array
    terms: dict[str, jax.Array]
    audio: jax.Array


Progress = Callable[[int, int, float], None]


class Inverter:
    """The compiled programs of one instrument and objective, and the library they start from.

    Attributes:
        problem: static.
        config: of the search.
        library: of random presets.
        interrupted: whether Ctrl-C ended the last `run`.
        scores: program; losses `[G, m]` of candidates `[G, m, d]`, given targets and a noise key each, `[G]`.
        judge: program; a `Final` for each of G targets, given members `[G, k, d]`, targets and keys `[G]`:
            all members with fresh noise keys, best first, and the details of the best.
    """

    def __init__(self, problem: Problem, config: InversionConfig, library: Library | None = None) -> None:
        """Nothing is compiled or rendered yet."""
        self.problem = problem
        self.config = config
        self.library = Library(problem.instrument, config.library) if library is None else library
        self.interrupted = False
        self._prepare = over_targets(self._target)
        self.scores = over_targets(problem.scores)
        self._jumps = over_targets(self._children)
        search = partial(search_round, problem, steps=config.steps)
        self._round = over_targets(search, (0, 0, 0, 0, None))
        self.judge = over_targets(self._judged)

    def prepare(self, audio, notes: Note, free, locked, window) -> Target:
        """Analyze a group of targets, `[G, n]`, once; knob vectors `[G, d]`, windows `[G, n]`."""
        return self._prepare(audio, notes, free, locked, window)

    def best_start(
        self, audio: np.ndarray, note: Note, key: jax.Array, window: np.ndarray | None = None
    ) -> float:
        """Best loss among the first candidates of one target at a note: how plausible the note is."""
        window = np.ones_like(audio) if window is None else window
        d = self.problem.instrument.n_params
        candidates = self.starts(audio, note, np.zeros((0, d), np.float32), self.config.candidates)
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

    def starts(self, audio: np.ndarray, note: Note, bank: np.ndarray, count: int) -> np.ndarray:
        """First candidates of one target: closest of the library, cued copies of them, the preset bank."""
        cued = int(self.config.cue_share * count)
        bank = bank[: count // 4]
        close = self.library.closest(audio, note, count - cued - len(bank))
        rate, period_s = self.problem.instrument.sample_rate, 1.0 / float(midi_to_hz(jnp.asarray(note.midi)))
        cues = envelope_cues(np.asarray(audio), rate, float(note.gate_s), period_s=period_s)
        return np.concatenate([close, with_cues(close[:cued], cues, self.problem.instrument.table), bank])

    def run(
        self,
        targets: Target,
        starts: np.ndarray,
        keys: jax.Array,
        *,
        budget: int,
        progress: Progress | None = None,
    ) -> tuple[Final, np.ndarray, np.ndarray]:
        """Search for a group of targets; returns the judgement, the curves and the relaxed losses.

        A `KeyboardInterrupt` ends the search early and the best so far is judged; `interrupted` tells.
        """
        config, rounds = self.config, self.config.rounds(budget)
        group, d = starts.shape[0], self.problem.instrument.n_params
        noise, jump_keys, judge_keys = jax.vmap(lambda k: jax.random.split(k, 3), out_axes=1)(keys)
        nobody = empty_members(config.members, d)
        members = jax.tree.map(lambda x: jnp.broadcast_to(x, (group, *x.shape)), nobody)
        candidates, curve, relaxed = jnp.asarray(starts), [], np.full(group, np.inf)
        snapped_from = config.snapped_from(rounds)
        self.interrupted = False
        try:
            for i in range(rounds):
                settings = self._settings(i, rounds, snapped=i >= snapped_from)
                polished, trace = self._round(members, candidates, targets, noise, settings)
                curve.append(np.asarray(trace))
                members = polished
                if i < snapped_from:
                    relaxed = np.minimum(relaxed, curve[-1][:, -1])
                if progress is not None:
                    progress(i + 1, rounds, float(np.mean(curve[-1][:, -1])))
                candidates = self._jumps(members, targets, _folded(jump_keys, i))
        except KeyboardInterrupt:
            if not curve:
                raise
            self.interrupted = True
        final = self.judge(members, targets, judge_keys)
        return final, np.concatenate(curve, axis=1), relaxed

    def _settings(self, i: int, rounds: int, *, snapped: bool) -> RoundSettings:
        """Learning rates fall geometrically over all rounds; each round starts a little above its end."""
        config = self.config
        ratio = config.last_rate / config.first_rate
        first, last = (config.first_rate * ratio ** (x / rounds) for x in (i, i + 1))
        return RoundSettings(jnp.float32(first), jnp.float32(last), jnp.float32(snapped))

    def _children(self, members: Members, target: Target, key: jax.Array) -> jax.Array:
        copies = -(-self.config.candidates // self.config.members)
        # The best member has the most children: ranks are drawn with a linear bias.
        a, b = jax.random.split(key)
        rank = jnp.sort(jax.random.uniform(a, (2, copies * self.config.members)), axis=0)[0]
        order = jnp.argsort(members.loss)
        parents = members.u[order[(rank * self.config.members).astype(jnp.int32)]]
        return jumps(b, parents, members.u, target.free)[: self.config.candidates]

    def _judged(self, members: Members, target: Target, key: jax.Array) -> Final:
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
        return Final(ranked, jnp.mean(yardsticks), terms, sounds[0])


@jax.jit
def _folded(keys: jax.Array, i: int) -> jax.Array:
    """A key for round `i` from each target's key."""
    return jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)


def make_problem(
    sample_rate: int,
    duration_s: float,
    *,
    instrument: str = "serum_lite",
    objective: ObjectiveConfig | None = None,
) -> Problem:
    """Problem for clips of a rate and length."""
    judge = Objective(ObjectiveConfig() if objective is None else objective, sample_rate)
    return Problem(make_instrument(instrument, sample_rate, duration_s), judge)


@lru_cache(maxsize=8)
def default_inverter(sample_rate: int, n: int, config: InversionConfig) -> Inverter:
    """The inverter for clips of `n` samples; the same one again for the same settings."""
    return Inverter(make_problem(sample_rate, n / sample_rate), config)


def group_size() -> int:
    """Targets worked on together: one a device on a CPU, 16 a device on accelerators."""
    return jax.device_count() * (1 if jax.default_backend() == "cpu" else 16)

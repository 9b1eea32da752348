"""The hybrid law: gradient descent with adaptive dither, many replicas a target.

    theta[t+1] = theta[t] - alpha[t] m[t] + sigma[t] D(theta[t]) eta[t]

`m` is the momentum mu[t] of the gradient, each knob divided by its running size as in Adam (Kingma and Ba
2015, arXiv 1412.6980): without that a step that suits the cutoff is nothing to the release. theta is kept in
unbounded coordinates (`coordinates`); the dither is thrown in knob units. The loop is that of the theory:

    sense     losses and gradients of the replicas, losses of some probes        (driver: the plant answers)
    shape     what is not finite is put back, gradients are clipped, bests are kept        `_sense`
    schedule  the monitor judges each replica's loss, the scheduler sets its gains         `_schedule`
    update    the law                                                                      `_update`
    plant     the new positions are asked for                                              `ask`

Replicas stand in a row from cold to hot: the dither of slot r is scaled by r / (replicas - 1). Every
`exchange_every` steps all of them and the best probes (jumps: perturbed winners, crossings) are ranked: the
best distinct ones take the slots, the best one the coldest, and losers are gone.
The hottest slots are for the best probes even where a replica is better: a jump over a hill lands on a slope,
and is worth something only after some steps down. A replica that keeps a slot goes on as if nothing had been.

The budget has two legs. In the first the replicas stand side by side; in the second the best preset goes down
`alone`, by the same law, and has all gradients to itself: going on side by side to the end ended farther off
(`configs/tune_hybrid.yaml`). Side by side all hear one noise key, so that their losses compare; alone, every
step hears a `fresh` one: with one key throughout, what was found fitted that key's noise. The best that a
diverging one goes back to is then the luckiest draw so far, and the monitor goes on from its loss.

With the default settings the probes are the dither and the step falls with the budget: the continuous
dither and the scheduler's adaptation are off (`ScheduleConfig`), since neither paid at equal cost.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS, Members, empty_members, keep_distinct
from ddsprl.fitting.core.solver import Answer, Leg, Query, Space, Start
from ddsprl.fitting.solvers import monitor as lyapunov
from ddsprl.fitting.solvers import schedule
from ddsprl.fitting.solvers.coordinates import to_bounded, to_unbounded
from ddsprl.fitting.solvers.dither import SHAPES, dither, shape
from ddsprl.fitting.solvers.monitor import DIVERGING, Monitor, Reading
from ddsprl.fitting.solvers.proposals import distinct_members, jumps
from ddsprl.fitting.solvers.schedule import Feedback, Gains, ScheduleConfig
from synth_jax.params import nearest_hint

SECOND_MOMENT = 0.95
JUMP_CHANCE = 2.0
STEP_FROM_STARTS = 0.1


class Course(NamedTuple):
    """Where the replicas are and what they remember; leading axis is the replica.

    Attributes:
        z: positions in unbounded coordinates, `[P, d]`.
        last_slope: gradient of the step before, in z, `[P, d]`.
        first: momentum, `[P, d]`.
        second: running mean of squared gradients, `[P, d]`.
        age: steps since birth, `[P]`.
        gains: of the scheduler.
        monitor: of each replica's loss.
    """

    z: jax.Array
    last_slope: jax.Array
    first: jax.Array
    second: jax.Array
    age: jax.Array
    gains: Gains
    monitor: Monitor


class HybridState(NamedTuple):
    """State of the law.

    Attributes:
        course: of the replicas.
        best: best preset of each replica since birth.
        probes: the best probes since the last exchange.
        starts: where the search began, to cross with, `[k, d]`.
        space: of the knobs.
        progress: share of the budget spent.
        step: steps done.
        reading: what each replica's monitor said in this step, before the guard made it forget, `[P]`.
        restored: replicas put back because something was not finite, so far.
        backed_off: times that a replica diverged and was put back to its best, so far.
    """

    course: Course
    best: Members
    probes: Members
    starts: jax.Array
    space: Space
    progress: jax.Array
    step: jax.Array
    reading: Reading
    restored: jax.Array
    backed_off: jax.Array


@dataclass(frozen=True)
class Hybrid:
    """Settings of the hybrid law; ablations are settings.

    Attributes:
        replicas: per target.
        probes: jumps scored at every step.
        exchange_every: steps between exchanges; 0 for none.
        shape: of the dither, see `ddsprl.fitting.solvers.dither`.
        schedule: bounds and rates of the scheduler.
        clip_norm: largest norm of a gradient in unbounded coordinates.
        slew: largest move of a knob in one step of the law, in knob units.
        watch: whether the monitor may put a diverging replica back to its best.
        kept_probes: probes remembered until the next exchange.
        cross_starts: whether probes also take knobs over from the starts.
        discrete_often: how often a probe redraws a discrete knob, beside a continuous one.
        reserved: slots that only probes can take at an exchange.
        alone: share of the budget, at its end, in which the best preset goes on alone, without probes.
        fresh: whether the best, once alone, hears other noise at every step, so that it cannot fit the noise.
    """

    replicas: int = 4
    probes: int = 8
    exchange_every: int = 8
    shape: str = "sensitivity*bounds"
    schedule: ScheduleConfig = ScheduleConfig()
    clip_norm: float = 10.0
    slew: float = 0.25
    watch: bool = True
    kept_probes: int = 16
    cross_starts: bool = True
    discrete_often: float = 2.0
    reserved: int = 2
    alone: float = 0.5
    fresh: bool = True

    def __post_init__(self) -> None:
        """Refuse settings with which nothing would be searched.

        Raises:
            ValueError: the setting, its value and what is allowed.
        """
        least = {"replicas": 1, "probes": 0, "exchange_every": 0, "reserved": 0, "kept_probes": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed are {low} and more")
        for part in self.shape.split("*"):
            if part not in SHAPES:
                raise ValueError(f"no dither shape {part!r}{nearest_hint(part, list(SHAPES))}")
        if not 0.0 <= self.alone < 1.0:
            raise ValueError(f"alone is {self.alone}; allowed is a share of the budget, 0 to below 1")

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Side by side, then alone."""
        together = replace(self, alone=0.0)
        if not self.alone or (self.replicas, self.probes) == (1, 0):
            return (Leg(together, 1.0),)
        # The best is the coldest, which is not thrown.
        still = replace(self.schedule, dither=0.0)
        last = replace(together, replicas=1, probes=0, exchange_every=0, schedule=still)
        return Leg(together, 1.0 - self.alone), Leg(last, self.alone)

    @property
    def fresh_noise(self) -> bool:
        """Only of the best alone: exchanges compare losses."""
        return self.fresh and not self.alone and (self.replicas, self.probes) == (1, 0)

    @property
    def scores(self) -> int:
        """Probes."""
        return self.probes

    @property
    def gradients(self) -> int:
        """One a replica."""
        return self.replicas

    def init(self, key: jax.Array, start: Start, space: Space) -> HybridState:
        """Replicas at the best distinct starts."""
        born = distinct_members(key, start, space, self.replicas, step=STEP_FROM_STARTS)
        if self.fresh_noise:
            # The starts' losses are under noise that the search has fitted: no later loss compares with them.
            born = born._replace(loss=jnp.full_like(born.loss, BAD_LOSS))
        zero, course = jnp.zeros((), jnp.int32), self._fresh(born)
        return HybridState(
            course=course,
            best=born,
            probes=self._no_probes(start.u),
            starts=start.u,
            space=space,
            progress=jnp.zeros(()),
            step=zero,
            reading=jax.vmap(lyapunov.read)(course.monitor),
            restored=zero,
            backed_off=zero,
        )

    def ask(self, key: jax.Array, state: HybridState, progress: jax.Array) -> tuple[Query, HybridState]:
        """The replicas, and jumps from their bests."""
        state = state._replace(progress=jnp.asarray(progress, state.progress.dtype))
        return Query(self._jumps(key, state), to_bounded(state.course.z)), state

    def tell(self, key: jax.Array, state: HybridState, query: Query, answer: Answer) -> HybridState:
        """Shape, schedule, update, and now and then exchange."""
        state, slope, better = self._sense(state, query, answer)
        state = self._schedule(state, slope, answer.loss, better)
        state = self._update(key, state, slope)
        if self.exchange_every == 0:
            return state
        due = state.step % self.exchange_every == 0
        return jax.lax.cond(due, self._exchange, lambda s: s, state)

    def trace(self, state: HybridState) -> dict[str, jax.Array]:
        """Gains, means over replicas; verdict of the coldest replica; counts so far.

        The loss is the one that its monitor goes on from. What the scheduler has heard (agreement, trend,
        norm, plateau) stays 0 unless it is `adaptive`.
        """
        gains, reading = state.course.gains, state.reading
        config, progress = self.schedule, state.progress
        return {
            "alpha": jnp.mean(schedule.alpha(gains, progress, config)),
            "mu": jnp.mean(schedule.mu(gains, config)),
            "sigma": jnp.mean(schedule.sigma(gains, progress, config)),
            "agreement": jnp.mean(gains.agreement),
            "trend": jnp.mean(gains.trend),
            "norm": jnp.mean(gains.norm),
            "plateau_steps": jnp.mean(gains.plateau.astype(jnp.float32)),
            "loss": state.course.monitor.last[0],
            "drift": reading.drift[0],
            "confidence": reading.confidence[0],
            "verdict": reading.verdict[0],
            "restored": state.restored,
            "backed_off": state.backed_off,
        }

    def _jumps(self, key: jax.Array, state: HybridState) -> jax.Array:
        z = state.course.z
        if self.probes == 0:
            return jnp.zeros((0, z.shape[1]), z.dtype)
        rank_key, jump_key = jax.random.split(key)
        # Better replicas have more children: of two ranks drawn, the better one.
        rank = jnp.min(jax.random.randint(rank_key, (2, self.probes), 0, self.replicas), axis=0)
        parents = state.best.u[jnp.argsort(state.best.loss)[rank]]
        mates = jnp.concatenate([state.best.u, state.starts]) if self.cross_starts else state.best.u
        often = jnp.where(state.space.choices > 0, self.discrete_often, 1.0)
        return jumps(jump_key, parents, mates, state.space.free, often)

    def _sense(
        self, state: HybridState, query: Query, answer: Answer
    ) -> tuple[HybridState, jax.Array, jax.Array]:
        """Keep bests, put back what is not finite; the clipped gradient in z, and who has a new best."""
        u = query.slope
        finite = (
            jnp.isfinite(answer.loss) & jnp.all(jnp.isfinite(answer.slope), axis=1) & (answer.loss < BAD_LOSS)
        )
        better = finite & (answer.loss < state.best.loss)
        best = Members(
            jnp.where(better[:, None], u, state.best.u), jnp.where(better, answer.loss, state.best.loss)
        )
        slope = jnp.where(finite[:, None], answer.slope * u * (1.0 - u), 0.0)
        norm = jnp.sqrt(jnp.sum(jnp.square(slope), axis=1, keepdims=True) + 1e-20)
        slope = slope * jnp.minimum(1.0, self.clip_norm / norm)
        score = jnp.where(jnp.isfinite(answer.score), answer.score, BAD_LOSS)
        probes = state.probes
        if self.probes and self.exchange_every:
            pool = Members(jnp.concatenate([probes.u, query.score]), jnp.concatenate([probes.loss, score]))
            probes = keep_distinct(pool, self.kept_probes)
        course = state.course
        z = jnp.where(finite[:, None], course.z, to_unbounded(best.u))
        # Momentum would carry it straight back.
        first = jnp.where(finite[:, None], course.first, 0.0)
        restored = state.restored + jnp.sum(~finite).astype(jnp.int32)
        course = course._replace(z=z, first=first)
        return state._replace(course=course, best=best, probes=probes, restored=restored), slope, better

    def _schedule(
        self, state: HybridState, slope: jax.Array, loss: jax.Array, better: jax.Array
    ) -> HybridState:
        """Gains from feedback; a diverging replica goes back to its best with a shrunken step."""
        course = state.course
        norm, norm_before = jnp.linalg.norm(slope, axis=1), jnp.linalg.norm(course.last_slope, axis=1)
        cosine = jnp.sum(slope * course.last_slope, axis=1) / (norm * norm_before + 1e-10)
        before = course.monitor.last
        # A loss that merely equals the best (silence, say) is no progress.
        fall = jnp.where(jnp.isfinite(loss), (before - loss) / jnp.maximum(before, 1e-6), -1.0)
        heard = Feedback(better, fall, cosine, norm)
        gains = jax.vmap(lambda g, f: schedule.update_gains(g, f, self.schedule))(course.gains, heard)
        monitor = jax.vmap(lyapunov.observe)(course.monitor, loss)
        reading = jax.vmap(lyapunov.read)(monitor)
        z, first = course.z, course.first
        count = state.backed_off
        if self.watch:
            diverging = reading.verdict == DIVERGING
            row = diverging[:, None]
            z, first = jnp.where(row, to_unbounded(state.best.u), z), jnp.where(row, 0.0, first)
            retired = jax.vmap(lambda g: schedule.back_off(g, self.schedule))(gains)
            gains = _choose(diverging, retired, gains)
            monitor = _choose(diverging, jax.vmap(lyapunov.forget)(state.best.loss), monitor)
            count = count + jnp.sum(diverging).astype(jnp.int32)
        course = course._replace(z=z, first=first, gains=gains, monitor=monitor, last_slope=slope)
        return state._replace(course=course, reading=reading, backed_off=count)

    def _update(self, key: jax.Array, state: HybridState, slope: jax.Array) -> HybridState:
        """The law."""
        config, course = self.schedule, state.course
        age = course.age + 1
        mu = schedule.mu(course.gains, config)[:, None]
        first = mu * course.first + (1.0 - mu) * slope
        second = SECOND_MOMENT * course.second + (1.0 - SECOND_MOMENT) * jnp.square(slope)
        # Both averages start at 0 (Adam, eq. 3); mu moves, so its middle stands for it.
        unbiased = first / (1.0 - config.momentum**age)[:, None]
        scale = jnp.sqrt(second / (1.0 - SECOND_MOMENT**age)[:, None]) + 1e-8
        alpha = schedule.alpha(course.gains, state.progress, config)[:, None]
        z = course.z - alpha * unbiased / scale
        z = self._thrown(key, state, z, second)
        before = to_bounded(course.z)
        moved = before + jnp.clip(to_bounded(z) - before, -self.slew, self.slew)
        z = jnp.where(jnp.abs(moved - to_bounded(z)) > 1e-6, to_unbounded(moved), z)
        course = course._replace(z=z, first=first, second=second, age=age)
        return state._replace(course=course, step=state.step + 1)

    def _thrown(self, key: jax.Array, state: HybridState, z: jax.Array, second: jax.Array) -> jax.Array:
        """Positions after the dither; hot slots are thrown further."""
        if self.schedule.dither == 0.0:
            return z
        ladder = jnp.linspace(0.0, 1.0, self.replicas) if self.replicas > 1 else jnp.ones(1)
        size = schedule.sigma(state.course.gains, state.progress, self.schedule) * ladder

        def one(key, z, second, size):
            u = to_bounded(z)
            factor = shape(self.shape, u, second, state.space.free)
            return u + dither(key, size, factor, state.space.choices * state.space.free, jump=JUMP_CHANCE)

        keys = jax.random.split(key, self.replicas)
        return to_unbounded(jax.vmap(one)(keys, z, second, size))

    def _exchange(self, state: HybridState) -> HybridState:
        """The best distinct of replicas and probes take the slots, best first; the last are for probes."""
        probes, reserved = state.probes, min(self.reserved, self.replicas - 1) if self.probes else 0
        pool = Members(
            jnp.concatenate([state.best.u, probes.u]), jnp.concatenate([state.best.loss, probes.loss])
        )
        born = keep_distinct(pool, self.replicas - reserved)
        if reserved:
            taken = jnp.any(jnp.all(probes.u[:, None] == born.u[None], axis=-1), axis=1)
            jumped = keep_distinct(probes._replace(loss=jnp.where(taken, BAD_LOSS, probes.loss)), reserved)
            stays = jax.tree.map(lambda x: x[-reserved:], state.best)
            jumped = _choose(jumped.loss < 0.5 * BAD_LOSS, jumped, stays)
            born = Members(*(jnp.concatenate(pair) for pair in zip(born, jumped, strict=True)))
        same = jnp.all(born.u[:, None] == state.best.u[None], axis=-1) & (born.loss[:, None] < BAD_LOSS)
        survivors = jax.tree.map(lambda x: x[jnp.argmax(same, axis=1)], state.course)
        course = _choose(jnp.any(same, axis=1), survivors, self._fresh(born))
        return state._replace(course=course, best=born, probes=self._no_probes(state.starts))

    def _fresh(self, born: Members) -> Course:
        """Replicas at new places, with nothing remembered."""
        none = jnp.zeros_like(born.u)
        gains = schedule.fresh_gains(self.schedule)
        return Course(
            z=to_unbounded(born.u),
            last_slope=none,
            first=none,
            second=none,
            age=jnp.zeros(self.replicas, jnp.int32),
            gains=jax.tree.map(lambda x: jnp.broadcast_to(x, (self.replicas,)), gains),
            monitor=jax.vmap(lyapunov.forget)(born.loss),
        )

    def _no_probes(self, starts: jax.Array) -> Members:
        return empty_members(max(self.kept_probes, 1), starts.shape[1])


def _choose(mask: jax.Array, yes, no):
    """Leaves of `yes` where the replica's mask is set, else of `no`."""

    def pick(a, b):
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)

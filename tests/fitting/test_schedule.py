"""The scheduler: which feedback moves which gain, and that bounds hold whatever it hears."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.solvers import schedule
from ddsprl.fitting.solvers.schedule import Feedback, Gains, ScheduleConfig, fresh_gains

CONFIG = ScheduleConfig(adaptive=True, dither=0.05)
HALFWAY = fresh_gains(CONFIG)._replace(step=jnp.float32(0.5), heat=jnp.float32(0.5))
START, END = jnp.float32(0.0), jnp.float32(1.0)


def after(
    gains: Gains, *, improved: bool, cosine: float, fall=0.0, norm=1.0, steps: int = 1, config=CONFIG
) -> Gains:
    heard = Feedback(jnp.asarray(improved), jnp.float32(fall), jnp.float32(cosine), jnp.float32(norm))
    for _ in range(steps):
        gains = schedule.update_gains(gains, heard, config)
    return gains


def test_agreeing_gradients_lengthen_the_step_and_raise_the_momentum():
    gains = after(HALFWAY, improved=True, cosine=1.0, steps=5)
    assert gains.step > HALFWAY.step
    assert schedule.mu(gains, CONFIG) > schedule.mu(HALFWAY, CONFIG)


def test_opposing_gradients_shorten_the_step_and_lower_the_momentum():
    gains = after(HALFWAY, improved=True, cosine=-1.0, steps=5)
    assert gains.step < HALFWAY.step
    assert schedule.mu(gains, CONFIG) < schedule.mu(HALFWAY, CONFIG)


def test_orthogonal_gradients_leave_the_step():
    assert after(HALFWAY, improved=True, cosine=0.0).step == HALFWAY.step


def test_progress_cools():
    gains = after(HALFWAY, improved=True, cosine=0.0)
    np.testing.assert_allclose(gains.heat, CONFIG.cool * HALFWAY.heat)
    assert gains.plateau == 0


def test_a_plateau_heats_and_shortens_only_after_its_patience():
    patient = after(HALFWAY, improved=False, cosine=0.0, steps=CONFIG.patience)
    assert (patient.heat, patient.step) == (HALFWAY.heat, HALFWAY.step)
    stuck = after(patient, improved=False, cosine=0.0)
    np.testing.assert_allclose(stuck.heat, CONFIG.heat * HALFWAY.heat)
    assert stuck.step < HALFWAY.step
    assert after(stuck, improved=True, cosine=0.0).heat < stuck.heat


def test_a_loss_that_falls_on_average_is_not_on_a_plateau():
    falling = after(HALFWAY, improved=False, cosine=0.0, fall=0.05, steps=CONFIG.patience + 3)
    assert (falling.heat, falling.step) == (HALFWAY.heat, HALFWAY.step)
    assert falling.trend > 0.04
    assert after(falling, improved=False, cosine=0.0, fall=-0.5).heat > HALFWAY.heat


def test_a_wall_shortens_the_step():
    used_to = after(HALFWAY, improved=True, cosine=0.0, norm=1.0)
    np.testing.assert_allclose(after(used_to, improved=True, cosine=0.0, norm=2.9).step, HALFWAY.step)
    hit = after(used_to, improved=True, cosine=0.0, norm=3.1)
    np.testing.assert_allclose(hit.step, CONFIG.shrink * HALFWAY.step, rtol=1e-6)
    # What is met again and again is no wall any more.
    assert after(hit, improved=True, cosine=0.0, norm=3.1).step == hit.step


def test_bounds_hold_whatever_is_heard():
    rng = np.random.default_rng(0)
    # Spells of one kind, so that every bound is met.
    improved = np.repeat(rng.uniform(size=40) < 0.5, 50)
    cosine = np.repeat(rng.choice([-1.0, 0.3, 1.0], 40), 50)
    progress = jnp.linspace(0.0, 1.0, 2000)

    def step(gains, heard):
        gains = schedule.update_gains(
            gains, Feedback(heard[0], 0.0 * heard[1], heard[1], 2.0 + heard[1]), CONFIG
        )
        alpha, sigma = (f(gains, heard[2], CONFIG) for f in (schedule.alpha, schedule.sigma))
        return gains, (gains.step, gains.heat, schedule.mu(gains, CONFIG), alpha, sigma)

    heard = (jnp.asarray(improved), jnp.asarray(cosine, jnp.float32), progress)
    pace, heat, mu, alpha, sigma = map(np.asarray, jax.lax.scan(step, fresh_gains(CONFIG), heard)[1])
    ceiling = CONFIG.first_rate * (CONFIG.last_rate / CONFIG.first_rate) ** np.asarray(progress)
    for values, low, high in ((pace, CONFIG.least, 1.0), (heat, CONFIG.dither_floor, 1.0)):
        np.testing.assert_allclose((values.min(), values.max()), (low, high), rtol=1e-5)
    assert (np.abs(mu - CONFIG.momentum) <= CONFIG.momentum_span + 1e-6).all()
    assert (alpha <= ceiling * 1.00001).all()
    assert (alpha >= CONFIG.least * ceiling * 0.99999).all()
    assert (sigma <= CONFIG.dither * 1.00001).all()
    assert sigma.min() > 0.0


def test_gains_fall_with_the_budget():
    np.testing.assert_allclose(schedule.alpha(fresh_gains(CONFIG), START, CONFIG), CONFIG.first_rate)
    np.testing.assert_allclose(schedule.alpha(fresh_gains(CONFIG), END, CONFIG), CONFIG.last_rate, rtol=1e-5)
    assert schedule.sigma(HALFWAY, END, CONFIG) < schedule.sigma(HALFWAY, START, CONFIG)


def test_a_divergence_halves_the_step_and_ends_the_dither():
    gains = schedule.back_off(HALFWAY, CONFIG)
    np.testing.assert_allclose(gains.step, 0.25)
    np.testing.assert_allclose(gains.heat, CONFIG.dither_floor)
    for _ in range(9):
        gains = schedule.back_off(gains, CONFIG)
    np.testing.assert_allclose(gains.step, CONFIG.least)


@pytest.mark.parametrize("improved", [True, False])
def test_without_a_schedule_every_factor_stays_at_one(improved):
    config = replace(CONFIG, adaptive=False)
    gains = after(fresh_gains(config), improved=improved, cosine=-1.0, steps=20, config=config)
    assert (gains.step, gains.heat) == (1.0, 1.0)
    np.testing.assert_allclose(schedule.sigma(gains, START, config), config.dither)
    # But for a divergence: the guard is no part of the schedule.
    np.testing.assert_allclose(schedule.back_off(gains, config).step, 0.5)

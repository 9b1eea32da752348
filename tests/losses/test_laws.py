"""Laws that every registered loss obeys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env.match.make import config_from
from ddsprl.io.settings import override
from ddsprl.losses import LOSSES, TERMS, Objective, ObjectiveConfig, ObjectiveWeights, Term
from ddsprl.losses.objective import single_losses
from ddsprl.losses.term import longest_window
from ddsprl.training.config import RunConfig
from tests.losses.sounds import SAMPLE_RATE, N, degenerate, tone

SOUNDS = degenerate()
NAMES = list(SOUNDS)
# Largest value between any two of the sounds above: the unit differs from term to term. A term that is not
# named here stays below 20 when weighted.
BOUNDS = {"mfcc": 100, "cent": 10, "loud": 75, "log_mel": 100, "envelope": 75, "transport": 9, "dc": 1}
BOUNDS |= {"clip": 2, "overshoot": 75, "mr": 2_000, "yardstick": 2_000, "total": 2_500}


@functools.cache
def value_and_grad(name: str):
    loss = LOSSES[name]
    return jax.jit(jax.vmap(jax.value_and_grad(lambda audio, target: loss(audio, target, SAMPLE_RATE))))


@functools.cache
def all_pairs(name: str):
    """Values and gradients of every ordered pair of degenerate sounds, [6, 6] and [6, 6, N]."""
    audio = np.stack([SOUNDS[a] for a in NAMES for _ in NAMES])
    target = np.stack([SOUNDS[b] for _ in NAMES for b in NAMES])
    values, grads = value_and_grad(name)(jnp.asarray(audio), jnp.asarray(target))
    side = len(NAMES)
    return np.asarray(values).reshape(side, side), np.asarray(grads).reshape(side, side, N)


def bound(name: str) -> float:
    return BOUNDS[name] if name in BOUNDS else 20.0 / TERMS[name].weight


def test_registry_has_every_term():
    assert set(TERMS) < set(LOSSES)
    assert set(BOUNDS) <= set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_zero_on_itself(name):
    assert np.all(np.abs(np.diagonal(all_pairs(name)[0])) < 1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_bounded_and_not_negative_on_degenerate_sounds(name):
    values, _ = all_pairs(name)
    assert np.all(np.isfinite(values))
    assert np.all(values >= 0.0)
    assert np.max(values) < bound(name)
    assert np.max(values) > 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_finite_on_degenerate_sounds(name):
    assert np.all(np.isfinite(all_pairs(name)[1]))


@pytest.mark.parametrize("name", LOSSES)
def test_vmap_equals_one_by_one_and_traces_once(name):
    traces = []

    def loss(audio, target):
        traces.append(audio.shape)
        return LOSSES[name](audio, target, SAMPLE_RATE)

    single = jax.jit(loss)
    values, _ = all_pairs(name)
    for a, b in ((3, 5), (5, 3)):
        one = single(jnp.asarray(SOUNDS[NAMES[a]]), jnp.asarray(SOUNDS[NAMES[b]]))
        np.testing.assert_allclose(one, values[a, b], rtol=2e-4, atol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize("name", ["total", "yardstick"])
def test_jit_equals_eager(name):
    a, b = jnp.asarray(tone()), jnp.asarray(tone(f0_hz=300.0, rolloff=2.0))
    compiled = jax.jit(lambda x, y: LOSSES[name](x, y, SAMPLE_RATE))(a, b)
    np.testing.assert_allclose(compiled, LOSSES[name](a, b, SAMPLE_RATE), rtol=1e-4)


TIMBRE = ("mr", "mfcc", "cent", "log_mel", "total", "yardstick")
STEPS = np.linspace(1.0, 0.0, 9)
PATHS = {
    # What changes along the way, and the losses that must fall at every step of it.
    "brightness": (lambda x: tone(rolloff=1.0 + 2.0 * x), TIMBRE),
    "darkness": (lambda x: tone(rolloff=2.0 - 1.5 * x), TIMBRE),
    "softer": (lambda x: tone(gain=0.3 * 10 ** (-1.5 * x)), ("loud", "total")),
    "louder": (lambda x: tone(gain=0.02 * 10 ** (1.2 * x)), ("loud", "overshoot", "total")),
    "decay": (lambda x: tone(decay_s=0.4 * 10 ** (-x)), ("envelope", "log_mel", "total")),
    "pitch_down": (lambda x: tone(f0_hz=220.0 * 2.0**x, rolloff=1.5), ("transport",)),
    "pitch_up": (lambda x: tone(f0_hz=220.0 * 2.0**-x, rolloff=1.5), ("transport",)),
}


@pytest.mark.parametrize("path", PATHS)
def test_falls_along_a_path_to_the_target(path):
    sound, names = PATHS[path]
    audio = jnp.asarray(np.stack([sound(x) for x in STEPS]))
    target = jnp.broadcast_to(audio[-1], audio.shape)
    for name in names:
        compiled = jax.jit(jax.vmap(lambda x, y, f=LOSSES[name]: f(x, y, SAMPLE_RATE)))
        values = np.asarray(compiled(audio, target))
        # A penalty may reach its tolerance, and so zero, before the end.
        assert np.all((np.diff(values) < 0.0) | (values[1:] == 0.0)), (name, values)
        assert values[0] > 4.0 * values[-2] or name in ("mr", "yardstick", "total"), (name, values)


def test_a_newcomer_is_one_record_and_one_line(monkeypatch):
    """A term that only the registry knows has a weight, can be asked for, is judged, and obeys the laws."""
    asked = []

    def treble(clip):
        asked.append(clip)
        power = clip.powers[max(clip.config.n_ffts)]
        return jnp.sum(power[:, power.shape[1] // 2 :]) / (jnp.sum(power) + 1e-3)

    def faintest(clip):
        return 0.1 * clip[treble]

    def above(clip):
        return jnp.maximum(clip[treble], clip.reference(faintest))

    def distance(clip, target):
        return jnp.abs(clip[above] - target)

    monkeypatch.setitem(TERMS, "treble", Term(3.0, lambda clip: clip[above], distance, needs=longest_window))
    monkeypatch.setitem(LOSSES, "treble", single_losses()["treble"])
    assert ObjectiveWeights().treble == 3.0
    assert ObjectiveWeights(treble=0.5).treble == 0.5
    assert ObjectiveConfig().terms[-1] == "treble"
    assert config_from({"objective": {"terms": ["mr", "treble"]}}).objective.terms == ("mr", "treble")
    run = override(RunConfig(), {"env.objective.terms": ["treble"]}, where="a file")
    assert vars(run.env)["objective"].terms == ("treble",)
    asked.clear()
    objective = Objective(ObjectiveConfig(terms=("mr", "treble")), SAMPLE_RATE)
    target = objective.prepare(jnp.asarray(tone()))
    found = objective(jnp.asarray(tone(rolloff=2.0)), target)
    assert len(asked) == 2  # once a clip
    assert list(target.references) == ["test_laws_faintest"]  # a checkpoint's names have no dots
    assert found.raw["treble"] > 0.01
    np.testing.assert_allclose(found.terms["treble"], 3.0 * found.raw["treble"])
    np.testing.assert_allclose(found.total, found.terms["mr"] + found.terms["treble"], rtol=1e-6)
    for law in (
        test_zero_on_itself,
        test_bounded_and_not_negative_on_degenerate_sounds,
        test_gradients_finite_on_degenerate_sounds,
        test_vmap_equals_one_by_one_and_traces_once,
    ):
        law("treble")

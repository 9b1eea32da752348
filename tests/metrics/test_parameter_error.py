"""Parameter error against the ear of the instrument itself: what is not counted must not be heard."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.metrics import parameter_error
from synth_jax import Note, sine
from synth_jax.instruments.serum_lite import NAMES, TABLE, serum_lite
from synth_jax.params import index_of

SYNTH = serum_lite()
PLAIN = {
    "osc1_wave_morph": 0.4,
    "osc1_unison": 3,
    "osc1_detune_cents": 20.0,
    "osc1_level": 0.5,
    "osc2_wave_morph": 0.6,
    "osc2_unison": 2,
    "osc2_detune_cents": 30.0,
    "osc2_level": 0.4,
    "osc2_semitone_offset": 4.0,
    "noise_level": 0.2,
    "filter_cutoff": 1200.0,
    "filter_resonance": 1.5,
    "filter_env_amount": 0.3,
    "amp_attack": 0.01,
    "amp_decay": 0.03,
    "amp_sustain": 0.5,
    "amp_release": 0.1,
    "mod_attack": 0.01,
    "mod_decay": 0.03,
    "mod_sustain": 0.4,
    "mod_release": 0.1,
    "lfo_rate": 6.0,
    "lfo_amount": 0.3,
    "lfo_target": 0.4,
    "master_volume": 0.5,
}
# Presets by what is special about them.
PRESETS = {
    "plain": {},
    "one voice each": {"osc1_unison": 1, "osc2_unison": 1},
    "first silent": {"osc1_level": 0.0},
    "second silent": {"osc2_level": 0.0},
    "noise alone": {"osc1_level": 0.0, "osc2_level": 0.0, "lfo_target": 0.6},
    "no modulation": {"filter_env_amount": 0.0, "lfo_amount": 0.0},
    "no fall": {"amp_sustain": 1.0, "mod_sustain": 1.0},
    "silence": {"master_volume": 0.0},
}
MASTER = index_of(TABLE, "master_volume")
LEVELS = [index_of(TABLE, name) for name in ("osc1_level", "osc2_level", "noise_level")]
OFFSET = index_of(TABLE, "osc2_semitone_offset")


def preset(**changes) -> np.ndarray:
    """Knob positions of PLAIN with changes, float64 [d]."""
    values = PLAIN | changes
    return np.array([spec.to_unit(values[spec.name]) for spec in TABLE])


def per_knob(u, u_true, *, midi_free=False) -> dict[str, float]:
    return dict(zip(NAMES, parameter_error(u, u_true, SYNTH, midi_free=midi_free).per_knob, strict=True))


def heard(u_true, *, midi_free=False) -> np.ndarray:
    return ~np.isnan(parameter_error(u_true, u_true, SYNTH, midi_free=midi_free).per_knob)


def in_other_order(u: np.ndarray) -> np.ndarray:
    """The oscillators exchanged by name, the offset turned round."""
    named = dict(zip(NAMES, u, strict=True))
    exchange = {"osc1": "osc2", "osc2": "osc1"}
    out = {n: named.get(exchange.get(n[:4], n[:4]) + n[4:], v) for n, v in named.items()}
    return np.array(list((out | {"osc2_semitone_offset": 1.0 - named["osc2_semitone_offset"]}).values()))


@pytest.fixture(scope="module")
def render():
    """Clips of 64 presets (the missing ones at zero) at their midi notes, compiled once, float [k, n]."""
    instrument = serum_lite(8_000, 0.12)
    compiled = jax.jit(
        jax.vmap(lambda u, midi: instrument.render(u, Note(midi, 0.07, 1.0), jax.random.key(0)))
    )

    def clips(presets, midi=57.0):
        presets = np.asarray(presets, np.float32)
        filled = np.zeros((64, len(TABLE)), np.float32)
        filled[: len(presets)] = presets
        notes = np.full(64, 57.0, np.float32)
        notes[: len(presets)] = midi
        return np.asarray(compiled(jnp.asarray(filled), jnp.asarray(notes)))[: len(presets)]

    return clips


@pytest.mark.parametrize("name", PRESETS)
def test_exactly_the_knobs_that_count_are_heard(render, name):
    truth = preset(**PRESETS[name])
    counted = heard(truth)
    # The master is heard through the three gains; a level counts even where the master is shut.
    questioned = [i for i in range(len(TABLE)) if i != MASTER and i not in LEVELS]
    moved = np.repeat(truth[None], len(questioned), 0)
    for row, i in enumerate(questioned):
        step = 2.0 / 6.0 if "unison" in NAMES[i] else 0.15
        moved[row, i] += step if truth[i] + step <= 1.0 else -step
    clips = render(np.concatenate([truth[None], moved]))
    change = np.abs(clips[1:] - clips[0]).max(1)
    for row, i in enumerate(questioned):
        assert (change[row] > 1e-5) == counted[i], (NAMES[i], change[row])


def test_an_exact_answer_has_no_error():
    for changes in PRESETS.values():
        for midi_free in (False, True):
            found = parameter_error(preset(**changes), preset(**changes), SYNTH, midi_free=midi_free)
            assert found.mean == 0.0 and not found.swapped


def test_level_and_master_count_as_one(render):
    truth = preset()
    same = preset(osc1_level=1.0, osc2_level=0.8, noise_level=0.4, master_volume=0.25)
    np.testing.assert_allclose(*render([truth, same]), atol=1e-6)
    assert parameter_error(same, truth, SYNTH, midi_free=False).mean == pytest.approx(0.0, abs=1e-7)
    errors = per_knob(preset(master_volume=0.7), truth)
    assert np.isnan(errors["master_volume"])
    found = [errors[name] for name in ("osc1_level", "osc2_level", "noise_level")]
    np.testing.assert_allclose(found, [0.5 * 0.2, 0.4 * 0.2, 0.2 * 0.2], atol=1e-6)


def test_a_known_error():
    truth, answer = preset(), preset(filter_env_amount=0.7, osc1_unison=6, osc2_level=0.6)
    errors = per_knob(answer, truth)
    assert errors["filter_env_amount"] == pytest.approx(0.2)
    assert errors["osc1_unison"] == pytest.approx(0.5)
    assert errors["osc2_level"] == pytest.approx(0.1)
    # 24 knobs: all but the master.
    found = parameter_error(answer, truth, SYNTH, midi_free=False).mean
    assert found == pytest.approx((0.2 + 0.5 + 0.1) / 24)


@pytest.mark.parametrize(
    ("changes", "midi_free"),
    [({}, True), ({"osc2_semitone_offset": 0.0}, False), ({"osc2_level": 0.0}, False)],
    ids=["midi free", "no offset", "second silent"],
)
def test_the_other_order_of_the_oscillators_is_as_good(render, changes, midi_free):
    truth = preset(**changes)
    answer = in_other_order(truth)
    offset = PLAIN["osc2_semitone_offset"] if midi_free else 0.0
    if not midi_free:
        answer[OFFSET] = 0.5
    np.testing.assert_allclose(*render([truth, answer], [57.0, 57.0 + offset]), atol=2e-4)
    found = parameter_error(answer, truth, SYNTH, midi_free=midi_free)
    assert found.mean == pytest.approx(0.0, abs=1e-7)
    assert found.swapped


def test_the_other_order_counts_where_it_sounds_otherwise(render):
    truth = preset()
    answer = in_other_order(truth)
    first, second = render([truth, answer])
    assert np.abs(first - second).max() > 1e-2
    found = parameter_error(answer, truth, SYNTH, midi_free=False)
    assert not found.swapped
    assert found.mean == pytest.approx(np.nanmean(list(per_knob(answer, truth).values())))
    assert found.mean > 0.03


def test_a_lone_oscillator_s_offset_is_one_with_an_estimated_note(render):
    truth = preset(osc1_level=0.0)
    shifted = preset(osc1_level=0.0, osc2_semitone_offset=-3.0)
    np.testing.assert_allclose(*render([truth, shifted], [57.0, 64.0]), atol=2e-4)
    assert parameter_error(shifted, truth, SYNTH, midi_free=True).mean == 0.0
    assert per_knob(shifted, truth)["osc2_semitone_offset"] == pytest.approx(7.0 / 24.0)


def test_what_the_truth_does_not_sound_does_not_count():
    truth = preset(osc2_level=0.0)
    answer = preset(osc2_level=0.1, osc2_wave_morph=0.0, osc2_semitone_offset=-12.0)
    errors = per_knob(answer, truth)
    assert errors["osc2_level"] == pytest.approx(0.05)
    assert np.isnan([errors["osc2_wave_morph"], errors["osc2_semitone_offset"]]).all()


def test_leading_axes_broadcast():
    rng = np.random.default_rng(0)
    u, truth = rng.uniform(size=(4, 3, 2, len(TABLE))), rng.uniform(size=(4, 1, 1, len(TABLE)))
    found = parameter_error(u, truth, SYNTH, midi_free=True)
    assert found.mean.shape == found.swapped.shape == (4, 3, 2)
    one = parameter_error(u[2, 1, 0], truth[2, 0, 0], SYNTH, midi_free=True)
    assert found.mean[2, 1, 0] == one.mean and found.swapped[2, 1, 0] == one.swapped
    np.testing.assert_array_equal(found.per_knob[2, 1, 0], one.per_knob)
    assert 0 < found.swapped.sum() < 24


def test_another_instrument_has_the_plain_mean():
    found = parameter_error([[0.1, 0.5]], [0.2, 0.2], sine(), midi_free=True)
    np.testing.assert_allclose(found.per_knob, [[0.1, 0.3]])
    np.testing.assert_allclose(found.mean, [0.2])
    assert not found.swapped.any()

"""Stages, buckets, committed references and the errors at the door."""

import dataclasses
import json
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ddsprl
import ddsprl.env.match
from ddsprl.env import (
    CurriculumState,
    EnvConfig,
    advance,
    committed,
    free_mask,
    make_bucket,
    make_env,
    make_matcher,
    preset_targets,
    recording_targets,
    stage_params,
    stages_of,
)
from ddsprl.env.match.floors import losses_near_targets
from ddsprl.env.match.measure_references import measure_stages
from ddsprl.env.match.references import COMMAND, References, setup_of
from ddsprl.features.loudness import ungated_loudness
from synth_jax import INSTRUMENTS, Note, serum_lite, sine

KEY = jax.random.key(1)


def unlocked(instrument, stage):
    free = free_mask(instrument, stage)
    return {spec.name for spec, moves in zip(instrument.table, free, strict=True) if moves}


def numbers(instrument):
    return range(1, len(stages_of(instrument)) + 1)


def test_stages_of_the_synthesizer():
    sets = [unlocked(serum_lite(), number) for number in numbers(serum_lite())]
    assert len(sets) == 5
    assert sets[0] == {"osc1_level", "osc2_level", "noise_level", "master_volume"}
    assert sets[1] - sets[0] == {"filter_cutoff", "filter_resonance"}
    assert sets[2] - sets[1] == {"amp_attack", "amp_decay", "amp_sustain", "amp_release"}
    assert sets[3] - sets[2] == {"osc1_unison", "osc2_unison", "osc1_detune_cents", "osc2_detune_cents"}
    assert {"lfo_target", "mod_attack", "osc1_wave_morph", "osc2_semitone_offset"} <= sets[4] - sets[3]
    assert len(sets[4]) == 25


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_any_instrument_ends_with_everything(name):
    instrument = INSTRUMENTS[name]()
    masks = [free_mask(instrument, number) for number in numbers(instrument)]
    assert all(np.all(a <= b) for a, b in zip(masks, masks[1:], strict=False))
    assert masks[-1].all()


def test_without_knowledge_there_is_one_stage():
    assert [stage.name for stage in stages_of(sine())] == ["everything"]
    with pytest.raises(ValueError, match="stage: 2; of sine the only one is 1"):
        free_mask(sine(), 2)


def test_promotion_needs_passes_in_a_row():
    thresholds = [1.0, 0.5, 0.5, 0.5, 0.5]
    state = CurriculumState()
    for loss, expected in [(0.9, (1, 1)), (1.1, (1, 0)), (0.9, (1, 1)), (0.9, (2, 0)), (0.9, (2, 0))]:
        state = advance(state, loss, thresholds)
        assert state == expected
    assert advance(CurriculumState(1, 1), float("nan"), thresholds) == (1, 0)
    last = CurriculumState(5, 1)
    assert advance(last, 0.1, thresholds) == (5, 2)  # nothing comes after it


def test_buckets_move_the_stages_knobs_only(synth):
    for stage in (1, 3):
        targets = stage_params(synth.env, stage, count=16)[0].targets
        u, free = np.asarray(targets.u), free_mask(synth.env.instrument, stage)
        np.testing.assert_array_equal(
            u[:, free == 0], np.tile(synth.env.instrument.default, (16, 1))[:, free == 0]
        )
        assert np.all(np.std(u[:, free == 1], axis=0) > 0.1)
        np.testing.assert_array_equal(u, synth.env.instrument.snap(targets.u))


def test_buckets_are_heard_seeded_and_apart(made):
    instrument = made.env.instrument
    free = made.env.stage_mask(5)
    settings = {"count": 80, "probes": 2, "stage": 5, "seed": 3}
    train, rejected = make_bucket(instrument, free, split="train", **settings)
    again, _ = make_bucket(instrument, free, split="train", **settings)
    held_out, _ = make_bucket(instrument, free, split="held_out", **settings)
    assert rejected >= 0
    assert train.u is not None
    assert train.u.shape == (80, made.d)
    assert train.notes.midi.shape == (80, 2)
    np.testing.assert_array_equal(train.u, again.u)
    assert not set(map(tuple, np.asarray(train.u))) & set(map(tuple, np.asarray(held_out.u)))
    midi, gate_s = np.asarray(train.notes.midi), np.asarray(train.notes.gate_s)
    assert 36.0 <= midi.min() < 45.0 < 75.0 < midi.max() <= 84.0
    assert 0.2 * 0.125 <= gate_s.min() < gate_s.max() <= 0.8 * 0.125
    render = jax.jit(jax.vmap(made.env.render))
    audio = render(train.u, train.notes, jax.random.split(KEY, 80))
    loudness = jax.vmap(jax.vmap(lambda x: ungated_loudness(x, instrument.sample_rate)))(audio)
    assert np.min(loudness) > -51.0  # other noise than when it was judged


def test_a_smaller_bucket_is_the_beginning_of_a_larger(made):
    free = made.env.stage_mask(5)
    settings = {"probes": 1, "stage": 5, "seed": 3, "split": "train"}
    small, _ = make_bucket(made.env.instrument, free, count=5, **settings)
    large, _ = make_bucket(made.env.instrument, free, count=70, **settings)
    np.testing.assert_array_equal(np.asarray(small.u), np.asarray(large.u)[:5])


def test_another_stage_compiles_nothing(synth):
    params = [stage_params(synth.env, stage, count=4)[0] for stage in (1, 5)]
    reset = jax.jit(chex.assert_max_traces(synth.env.reset_at, n=1))
    chex.clear_trace_counter()
    for one in params:
        reset(KEY, one, jnp.asarray(0))


def test_recordings_are_targets_without_knobs(made):
    n, notes = made.env.instrument.n_samples, Note(*(np.full((2, 1), x) for x in (60.0, 0.1, 1.0)))
    audio = 0.1 * np.random.default_rng(0).standard_normal((2, 1, n)).astype(np.float32)
    targets = recording_targets(made.env.instrument, audio, notes)
    params, rejected = stage_params(made.env, 5, targets=targets)
    _, state = jax.jit(made.env.reset_at)(KEY, params, jnp.asarray(1))
    assert rejected == 0
    np.testing.assert_array_equal(state.u, made.env.instrument.default)
    np.testing.assert_array_equal(made.env.target_audio(params, jnp.asarray(1), KEY), audio[1])
    np.testing.assert_allclose(
        state.episode.features.loudness_lufs[0], ungated_loudness(audio[1, 0], 8_000), rtol=1e-5
    )


def test_known_presets_are_snapped(made):
    notes = Note(*(np.full((3, 1), x) for x in (60.0, 0.1, 1.0)))
    u = np.random.default_rng(0).uniform(size=(3, made.d))
    targets = preset_targets(made.env.instrument, u, notes)
    np.testing.assert_array_equal(targets.u, made.env.instrument.snap(jnp.float32(u)))


def test_committed_references_are_those_of_the_default_setup():
    path = Path(ddsprl.env.match.__file__).parent / "data" / "references.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["command"] == COMMAND
    env = make_matcher(EnvConfig())
    assert setup_of(env) in [entry["setup"] for entry in stored["setups"]]
    found = committed(env)
    assert len(found) == len(stages_of(env.instrument))
    for stage in found:
        assert 0.0 <= stage.floor < stage.one_percent < stage.threshold
        assert 0.0 < stage.excess < stage.one_percent
    excess = [stage.excess for stage in found]
    assert excess == sorted(excess)  # more knobs, each 1 % off


def test_references_are_of_one_table_of_knobs():
    env = make_matcher(EnvConfig())
    other = dataclasses.replace(env.instrument, table=env.instrument.table[:-1])
    with pytest.raises(ValueError, match="no reference was committed for serum_lite with these knobs"):
        committed(make_matcher(EnvConfig(), instrument=other))


def test_measuring_gives_what_is_committed(made):
    """The same code on the toy: floors below references, references growing with the step."""
    rows = measure_stages(made.env, presets=4, seed=5)
    assert [row["stage"] for row in rows] == [1, 2, 3, 4, 5]
    for row in rows:
        assert 0.0 <= row["floor"] < row["one_percent"] + 0.02 < row["five_percent"] + 0.05
    still, moved = np.asarray(losses_near_targets(made.env, made.cold, (0.0, 0.05), seed=1))
    assert still.shape == (12,)
    assert np.all(moved > still)


def test_epsilon_is_the_floor_plus_the_committed_excess(made, monkeypatch):
    """Without an epsilon of its own, a setup with references measures its targets' floors."""
    config = dataclasses.replace(made.env.config, epsilon=None)
    found = tuple(References(0.5, 0.8, 2.0, 0.1 * stage) for stage in numbers(made.env.instrument))
    monkeypatch.setattr("ddsprl.env.match.make.committed", lambda env: found)
    env = make_matcher(config, instrument=made.env.instrument)
    params, _ = stage_params(env, 5, split="held_out", count=12)
    assert float(params.epsilon) == pytest.approx(0.5)
    floor = np.asarray(params.targets.floor)
    noise = np.asarray(params.targets.u)[:, made.index("noise_level")]
    assert np.corrcoef(noise, floor)[0, 1] > 0.5  # noisier targets cannot be met as closely
    _, state = jax.jit(env.reset_at)(KEY, params, jnp.asarray(2))
    assert float(state.episode.epsilon) == pytest.approx(0.5 + floor[2])
    assert stage_params(env, 5, count=2, epsilon=0.7)[0].targets.floor is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stpes": 3}, "did you mean 'steps'"),
        ({"objective": {"n_fft": (512,)}}, "did you mean 'n_ffts'"),
        ({"stage": 6}, "allowed are 1 to 5"),
        ({"probes": 5}, "allowed are 1 to 4"),
        ({"steps": 0}, "steps: 0 is not positive"),
        ({"delta_max": 1.5}, "a knob's range is 1"),
        ({"warm_start_probability": 1.5}, "not in 0 to 1"),
        ({"move_weight": -1.0}, "move_weight: -1.0 is negative"),
        ({"instrument": "serum_light"}, "did you mean 'serum_lite'"),
        ({"duration_s": 0.25, "bucket": 1}, COMMAND),
    ],
)
def test_errors_name_what_is_wrong(settings, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        make_env(settings)


def test_errors_of_targets(made):
    instrument, notes = made.env.instrument, Note(*(np.full((2, 1), x) for x in (60.0, 0.1, 1.0)))
    n = instrument.n_samples
    with pytest.raises(ValueError, match=r"allowed is \[count, probes, 1000\]"):
        recording_targets(instrument, np.zeros((2, n)), notes)
    with pytest.raises(ValueError, match="not finite"):
        recording_targets(instrument, np.full((2, 1, n), np.nan), notes)
    with pytest.raises(ValueError, match=r"toy takes \[count, 7\]"):
        preset_targets(instrument, np.zeros((2, 3)), notes)
    with pytest.raises(ValueError, match="notes: shapes"):
        preset_targets(instrument, np.zeros((3, 7)), notes)
    with pytest.raises(ValueError, match="2 clips a target for 1 notes"):
        recording_targets(instrument, np.zeros((2, 2, n)), notes)
    with pytest.raises(ValueError, match="split"):
        make_bucket(instrument, made.env.stage_mask(5), count=1, probes=1, split="test", stage=5, seed=0)


@pytest.mark.evidence
@pytest.mark.slow
def test_the_default_setup_from_the_front_door():
    """Committed references, measured floors, one step of the published environment."""
    env, params = ddsprl.make_env({"bucket": 4})
    assert params.targets.floor is not None
    assert float(params.epsilon) == pytest.approx(committed(env)[0].excess)
    obs, state = jax.jit(env.reset)(KEY, params)
    action = {"module": jnp.asarray(0), "delta": jnp.zeros(25)}
    found = jax.jit(env.step)(KEY, state, action, params)
    assert obs["current"].shape == (64, 44)
    assert found.info["loss"] == state.loss
    np.testing.assert_array_equal(obs["modules"], [1.0, 0.0, 0.0, 0.0])

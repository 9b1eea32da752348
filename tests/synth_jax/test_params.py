"""The table of knobs and the maps between knob positions and physical values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth_jax import ParamSpec
from synth_jax.instruments.serum_lite import TABLE
from synth_jax.params import check_table, clip_unit, default_unit, index_of, snap, to_physical


def spec(**changes) -> ParamSpec:
    return ParamSpec(**({"name": "knob", "low": 1.0, "high": 10.0, "default": 2.0} | changes))


def test_array_map_equals_the_host_map_and_round_trips():
    u = np.random.default_rng(0).uniform(size=(50, len(TABLE))).astype(np.float32)
    physical = np.asarray(to_physical(jnp.asarray(u), TABLE))
    for j, one in enumerate(TABLE):
        np.testing.assert_allclose(
            physical[:, j], [one.to_physical(x) for x in u[:, j]], rtol=1e-5, atol=1e-6
        )
        assert [one.to_unit(one.to_physical(float(x))) for x in u[:, j]] == pytest.approx(
            u[:, j].tolist(), abs=1e-6
        )


def test_ends_are_the_stated_limits():
    for u, limit in ((0.0, "low"), (1.0, "high"), (-3.0, "low"), (5.0, "high")):
        physical = np.asarray(to_physical(jnp.full(len(TABLE), u), TABLE))
        np.testing.assert_allclose(physical, [getattr(one, limit) for one in TABLE], rtol=1e-5, atol=1e-6)


def test_clip_keeps_its_slope_on_the_stops():
    slope = jax.vmap(jax.grad(clip_unit))(jnp.array([-0.1, 0.0, 0.5, 1.0, 1.1]))
    np.testing.assert_array_equal(slope, [0.0, 1.0, 1.0, 1.0, 0.0])


def test_snap_takes_the_nearest_choice_of_integer_knobs():
    table = (spec(name="count", low=1.0, high=7.0, integer=True), spec(name="free"))
    u = jnp.array([[0.0, 0.3], [0.08, 0.31], [0.09, 0.7], [0.5, 0.2], [1.4, 1.2]])
    snapped = np.asarray(snap(u, table))
    np.testing.assert_allclose(snapped[:, 0] * 6 + 1, [1, 1, 2, 4, 7], atol=1e-6)
    np.testing.assert_allclose(snapped[:, 1], [0.3, 0.31, 0.7, 0.2, 1.0])


def test_default_of_the_flagship_is_a_plain_clean_patch():
    by_name = dict(
        zip([one.name for one in TABLE], to_physical(jnp.asarray(default_unit(TABLE)), TABLE), strict=True)
    )
    for name in ("noise_level", "lfo_amount", "filter_env_amount", "osc2_semitone_offset"):
        assert by_name[name] == pytest.approx(0.0, abs=1e-5)
    assert by_name["osc1_unison"] == by_name["osc2_unison"] == 1.0


def test_order_of_the_flagship_is_fixed():
    names = [one.name for one in TABLE]
    assert len(names) == 25
    assert names[:4] == ["osc1_wave_morph", "osc1_unison", "osc1_detune_cents", "osc1_level"]
    assert names[8:13] == [
        "osc2_semitone_offset",
        "noise_level",
        "filter_cutoff",
        "filter_resonance",
        "filter_env_amount",
    ]
    assert names[13:21] == [
        f"{e}_{k}" for e in ("amp", "mod") for k in ("attack", "decay", "sustain", "release")
    ]
    assert names[21:] == ["lfo_rate", "lfo_amount", "lfo_target", "master_volume"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": 10.0}, "must be under"),
        ({"scale": "log", "low": 0.0}, "low > 0"),
        ({"default": 11.0}, "outside"),
        ({"module": " "}, "is no word"),
    ],
)
def test_impossible_specs_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        spec(**changes)


def test_errors_name_the_nearest_knob():
    with pytest.raises(KeyError, match="did you mean 'filter_cutoff'"):
        index_of(TABLE, "filter_cutof")
    with pytest.raises(KeyError, match="allowed: osc1_wave_morph"):
        index_of(TABLE, "zzzz")
    with pytest.raises(ValueError, match="duplicate"):
        check_table((spec(), spec()))

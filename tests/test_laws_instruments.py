"""Every registered instrument obeys the laws of instruments."""

import functools

import jax
import pytest

import laws
from synth_jax import INSTRUMENTS
from tests import house

every_instrument = pytest.mark.parametrize("name", INSTRUMENTS)


@functools.cache
def short(name: str):
    """0.1 s at 16 kHz; an odd number of samples, so that the last frame is not full."""
    return INSTRUMENTS[name](sample_rate=16_000, duration_s=0.1001)


@every_instrument
def test_table(name):
    laws.check_table(short(name))


@every_instrument
def test_finite(name):
    laws.check_finite(short(name), count=512)


@every_instrument
def test_jit_and_vmap(name):
    laws.check_jit_and_vmap(short(name))


@every_instrument
def test_one_trace(name):
    laws.check_one_trace(short(name))


@every_instrument
def test_gradient(name):
    laws.check_gradient(short(name), points=12)


@every_instrument
def test_snap(name):
    laws.check_snap(short(name))


@pytest.fixture
def compiled_quickly():
    """Programs that run once are not worth much optimizing."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@every_instrument
@pytest.mark.usefixtures("compiled_quickly")
def test_match(name):
    house.check_match(name)


@every_instrument
@pytest.mark.usefixtures("compiled_quickly")
def test_comparison(name):
    house.check_comparison(name)


@every_instrument
@pytest.mark.usefixtures("compiled_quickly")
def test_episode(name):
    house.check_episode(name)


@every_instrument
def test_preset(name, tmp_path):
    house.check_preset(name, tmp_path)

"""Pages of random presets: cached whole, made again when damaged, and near to what they hold."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.starts.library import Library, LibraryConfig, picture
from synth_jax import Note

SIZE = 64
NOTE = Note(60.0, 0.1, 1.0)


@pytest.fixture(scope="session")
def own(tiny) -> Library:
    return tiny.inverter.library


def copy_in(folder, tiny, **changes) -> Library:
    """A library with a cache, sharing the compiled program of the tiny one."""
    config = LibraryConfig(**({"size": SIZE, "cache_dir": folder} | changes))
    library = Library(tiny.synth, config)
    library._draw = tiny.inverter.library._draw
    return library


@pytest.fixture
def cached(tmp_path, tiny):
    library = copy_in(tmp_path / "cache" / "library", tiny)
    page = library.page(60.0, 0.1)
    (file,) = library.config.cache_dir.iterdir()  # pyright: ignore[reportOptionalMemberAccess]
    return library, page, file


def test_a_page_is_rendered_once_and_kept(tiny, cached):
    first, page, file = cached
    assert first.renders == page.renders == SIZE
    assert first.page(60.4, 0.105) is page
    second = copy_in(first.config.cache_dir, tiny)
    again = second.page(60.0, 0.1)
    assert second.renders == again.renders == 0
    np.testing.assert_array_equal(again.presets, page.presets)
    np.testing.assert_array_equal(again.pictures, page.pictures)
    assert list(file.parent.iterdir()) == [file]


def test_a_page_holds_snapped_presets_and_finite_pictures(tiny, cached):
    _, page, _ = cached
    assert page.presets.shape == (SIZE, tiny.synth.n_params)
    np.testing.assert_array_equal(page.presets, tiny.synth.snap(jnp.asarray(page.presets)))
    assert page.pictures.dtype == np.float16
    assert np.isfinite(page.pictures).all()
    assert page.pictures.max() == 0
    assert page.pictures.min() >= -60


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "flipped", "other shape", "missing array"])
def test_a_damaged_page_is_made_again(tiny, cached, damage):
    first, page, file = cached
    data = file.read_bytes()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        file.write_bytes(b"not a page at all" * 50)
    elif damage == "flipped":
        middle = len(data) // 2
        flipped = bytes(255 - x for x in data[middle : middle + 64])
        file.write_bytes(data[:middle] + flipped + data[middle + 64 :])
    elif damage == "other shape":
        np.savez(file, presets=page.presets, pictures=page.pictures[:, :100])
    else:
        np.savez(file, presets=page.presets)
    second = copy_in(first.config.cache_dir, tiny)
    again = second.page(60.0, 0.1)
    assert second.renders == SIZE
    np.testing.assert_array_equal(again.pictures, page.pictures)
    third = copy_in(first.config.cache_dir, tiny)
    np.testing.assert_array_equal(third.page(60.0, 0.1).presets, page.presets)
    assert third.renders == 0


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path, tiny):
    (tmp_path / "file").write_text("in the way")
    library = copy_in(tmp_path / "file" / "library", tiny)
    assert len(library.page(60.0, 0.1).presets) == SIZE
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_key_holds_all_that_a_page_depends_on(tmp_path, tiny):
    library = copy_in(tmp_path, tiny)
    note = (60.0, 0.1)
    others = [copy_in(tmp_path, tiny, **change) for change in ({"size": 65}, {"seed": 8})]
    others += [
        Library(make_problem(*clip).instrument, library.config) for clip in ((8_000, 0.5), (16_000, 0.125))
    ]
    narrower = dataclasses.replace(tiny.table[0], high=0.9, default=0.0)
    changed = dataclasses.replace(tiny.synth, table=(narrower, *tiny.table[1:]))
    others.append(Library(changed, library.config))
    paths = {library._path(*note), library._path(64.0, 0.1), library._path(60.0, 0.2)}
    paths |= {other._path(*note) for other in others}
    assert len(paths) == 3 + len(others)
    assert library._path(*note) == copy_in(tmp_path, tiny)._path(*note)


@pytest.mark.parametrize(
    ("midi", "gate_s", "page"),
    [(61.9, 0.1, (60.0, 0.1)), (0.0, 0.001, (12.0, 0.1)), (127.0, 100.0, (120.0, 9.05))],
)
def test_the_nearest_page_is_taken(monkeypatch, tiny, midi, gate_s, page):
    library = copy_in(None, tiny)
    monkeypatch.setattr(library, "_draw", lambda u, note, key: np.zeros((len(u), 512), np.float16))
    found = library.page(midi, gate_s)
    assert (found.midi, round(found.gate_s, 2)) == page


def test_a_preset_of_the_library_is_found_by_its_own_sound(tiny, own):
    page = own.page(60.0, 0.1)
    ranks = []
    for i in range(0, SIZE, 8):
        # Neither pitch nor gate nor noise are those of the page.
        audio = tiny.sound(page.presets[i], Note(61.0, 0.11, 1.0), seed=100 + i)
        if np.abs(audio).max() < 1e-3:
            continue
        close = own.closest(audio, Note(61.0, 0.11, 1.0), SIZE)
        assert close.shape == (SIZE, tiny.synth.n_params)
        ranks.append(int(np.flatnonzero((close == page.presets[i]).all(axis=1))[0]))
    assert len(ranks) >= 5
    assert np.median(ranks) == 0
    assert max(ranks) < 6


def test_the_picture_ignores_gain():
    audio = np.sin(2 * np.pi * 440 * np.arange(2000) / 8000) * np.linspace(1, 0.01, 2000)
    loud, quiet = (np.asarray(picture(jnp.asarray(g * audio, jnp.float32), 8_000)) for g in (1.0, 0.05))
    np.testing.assert_allclose(loud, quiet, atol=0.05)
    assert np.ptp(loud) > 30
    assert np.isfinite(np.asarray(picture(jnp.zeros(2000), 8_000))).all()

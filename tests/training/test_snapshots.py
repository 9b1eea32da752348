"""Sounds of the best and the worst episode: the right ones, the same sound again, and not too many files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ddsprl.env.match.types import Final
from ddsprl.io import UserError
from ddsprl.training.snapshots import Snapshots, cleared, in_a_row, no_extremes, update_extremes
from tests.env.toy import Made, toy, toy_config


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(toy_config(), toy())


def finals(n: int, d: int) -> Final:
    keys = jax.random.split(jax.random.key(5), n)
    return Final(jnp.arange(n, dtype=jnp.int32), jnp.tile(jnp.arange(n)[:, None] / n, (1, d)), keys, keys)


def none(made: Made):
    """Nothing has ended."""
    return no_extremes(jax.eval_shape(lambda: finals(1, made.d)))


def test_the_extremes_of_what_ended(made):
    update = jax.jit(update_extremes)
    extremes, final = none(made), finals(4, made.d)
    same = update(extremes, jnp.zeros(4, bool), jnp.ones(4), final)
    assert jnp.isinf(same.best.loss) and jnp.isinf(same.worst.loss)
    done = jnp.array([True, False, True, True])
    extremes = update(extremes, done, jnp.array([2.0, 0.5, 3.0, jnp.nan]), final)
    assert (extremes.best.final.index, extremes.worst.final.index) == (0, 2)
    extremes = update(extremes, done, jnp.array([2.5, 9.0, 1.0, jnp.inf]), final)
    assert (float(extremes.best.loss), float(extremes.worst.loss)) == (1.0, 3.0)
    assert (extremes.best.final.index, extremes.worst.final.index) == (2, 2)
    assert extremes.best.final.render_key == final.render_key[2]
    again = cleared(extremes)
    assert jnp.isposinf(again.best.loss) and jnp.isneginf(again.worst.loss)
    # A program may be given them to write in: no array is in them twice.
    leaves = jax.tree.leaves(none(made))
    assert len({id(x) for x in leaves}) == len(leaves)


def test_several_seeds_at_once(made):
    many = jax.tree.map(lambda x: jnp.stack([x, x]), none(made))
    final = jax.tree.map(lambda x: jnp.stack([x, x]), finals(3, made.d))
    losses = jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    found = jax.vmap(update_extremes)(many, jnp.ones((2, 3), bool), losses, final)
    assert found.best.final.index.tolist() == [0, 2] and found.worst.final.index.tolist() == [2, 0]


def test_files_hold_the_sounds_that_were_heard(made, tmp_path):
    _, state = made.reset_at(jax.random.key(3), made.cold, 4)
    step = made.step(jax.random.key(0), state, made.act(0, level=0.7), made.cold)
    final = jax.tree.map(lambda x: x[None], made.env.final(step.state))
    loss = step.state.best.loss[None]
    extremes = update_extremes(none(made), jnp.ones(1, bool), loss, final)
    snapshots = Snapshots(tmp_path / "audio", made.env, keep=2)
    paths = snapshots.write(12, extremes, made.cold)
    assert [path.name for path in paths] == [
        f"000012_{name}_{kind}.wav" for name in ("best", "worst") for kind in ("target", "found")
    ]
    target, rate = soundfile.read(paths[0], dtype="float32")
    assert rate == made.env.instrument.sample_rate
    expected = made.env.target_audio(made.cold, jnp.int32(4), state.episode.target_key)
    np.testing.assert_allclose(target, in_a_row(np.asarray(expected), round(0.1 * rate)), atol=1e-6)
    found, _ = soundfile.read(paths[1], dtype="float32")
    heard = made.env.render(step.state.best.u, state.episode.notes, state.episode.render_key)
    np.testing.assert_allclose(found, in_a_row(np.asarray(heard), round(0.1 * rate)), atol=1e-6)
    assert np.max(np.abs(found - target)) > 1e-3

    def iterations():
        return sorted({path.name[:6] for path in (tmp_path / "audio").iterdir()})

    (tmp_path / "audio" / ".000001_best_found.wav.0.partial").touch()
    snapshots.write(20, extremes, made.cold)
    snapshots.write(30, extremes, made.cold)
    assert iterations() == ["000020", "000030"]
    # A run that was gone back on.
    snapshots.write(25, extremes, made.cold)
    assert iterations() == ["000020", "000025"]


def test_nothing_ended_writes_nothing(made, tmp_path):
    assert Snapshots(tmp_path / "audio", made.env, keep=2).write(1, none(made), made.cold) == ()
    assert not (tmp_path / "audio").exists()


def test_a_place_that_cannot_be_written(made, tmp_path):
    (tmp_path / "file").touch()
    extremes = update_extremes(none(made), jnp.ones(1, bool), jnp.ones(1), finals(1, made.d))
    with pytest.raises(UserError, match="cannot be created"):
        Snapshots(tmp_path / "file" / "audio", made.env, keep=1).write(1, extremes, made.cold)
    assert Snapshots(tmp_path / "file", made.env, keep=0).write(1, extremes, made.cold) == ()


def test_clips_in_a_row():
    assert in_a_row(np.array([[1.0, 2.0], [3.0, 4.0]]), 1).tolist() == [1.0, 2.0, 0.0, 3.0, 4.0]

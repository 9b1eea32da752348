"""The replay ring: what went in comes out, the oldest is overwritten, draws are uniform, memory bounded."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.replay import (
    LEVELS,
    PICTURE_HIGH,
    PICTURE_LOW,
    Replay,
    add,
    add_rows,
    dequantize,
    empty_replay,
    pack,
    quantize,
    quantize_distance,
    restored,
    sample,
)
from ddsprl.agents.types import ActionSpec, Labels, Seen, SeenSpec, Transition

ACTIONS, SEEN = ActionSpec(2, (0, 1, 1)), SeenSpec(2, (3, 4))
GIB = 2**30


def numbered(numbers) -> Transition:
    """Transitions that carry a number in every field."""
    x = jnp.asarray(numbers, jnp.float32)
    picture = jnp.broadcast_to(x[:, None, None] / 100.0, (len(x), 3, 4))
    rest = jnp.stack([x, -x], axis=1)
    return Transition(
        seen=Seen(rest, picture, picture + 0.5),
        module=(x % 2).astype(jnp.int32),
        delta=jnp.stack([x, x, x], axis=1) / 1000.0,
        reward=2.0 * x,
        terminated=x % 3 == 0,
        next_seen=Seen(rest + 1.0, picture + 0.25, picture + 0.5),
    )


@pytest.fixture(scope="module")
def write():
    return jax.jit(chex.assert_max_traces(add, n=1))


def test_the_oldest_are_overwritten(write):
    replay = empty_replay(7, SEEN, ACTIONS)
    for i in range(4):
        replay = write(replay, numbered([3 * i, 3 * i + 1, 3 * i + 2]))
        assert replay.filled == min(3 * (i + 1), 7)
    assert replay.cursor == 12 % 7
    assert set(np.asarray(replay.rows.reward) / 2.0) == set(range(5, 12))


def test_what_comes_out_is_what_went_in(write):
    replay = write(empty_replay(7, SEEN, ACTIONS), numbered([4, 5, 6]))
    found = jax.jit(sample, static_argnums=2)(jax.random.key(0), replay, 32)
    expected = numbered(found.reward / 2.0)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
    # Half a level of the target's, and of a distance of at most a half.
    half_level = 0.5 * (PICTURE_HIGH - PICTURE_LOW) / LEVELS
    chex.assert_trees_all_close(found, expected, atol=half_level + 0.03 * 0.5)
    chex.assert_trees_all_close(found.seen.rest, expected.seen.rest)
    np.testing.assert_array_equal(found.terminated, expected.terminated)


def test_sampling_is_uniform_over_what_is_filled(write):
    replay = write(empty_replay(7, SEEN, ACTIONS), numbered([4, 5, 6]))
    found = np.asarray(sample(jax.random.key(1), replay, 6000).reward) / 2.0
    values, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(values, [4, 5, 6])
    # Five standard deviations of a binomial.
    assert np.all(np.abs(counts - 2000) < 5 * np.sqrt(6000 * (1 / 3) * (2 / 3)))


def stored_bytes(ring: Replay) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(ring))


def test_a_hundred_thousand_fit_in_one_gib():
    """Pictures of 64 x 44 twice, 33 other numbers, 25 knobs: the synthesizer's at 16 kHz and one probe."""
    big = ActionSpec(4, (0,) * 25)
    ring: Replay = jax.eval_shape(lambda: empty_replay(100_000, SeenSpec(33, (64, 44)), big))
    assert 0.8 * GIB < stored_bytes(ring) < 0.85 * GIB
    assert ring.capacity == 100_000
    whole = jax.eval_shape(
        lambda: empty_replay(100_000, SeenSpec(33, (64, 44)), big, labelled=True, masked=True)
    )
    assert stored_bytes(whole) < 0.86 * GIB


def test_a_ring_without_pictures():
    step = numbered([1, 2])
    step = step._replace(seen=Seen(step.seen.rest), next_seen=Seen(step.next_seen.rest))
    replay = add(empty_replay(4, SeenSpec(2), ACTIONS), step)
    assert sample(jax.random.key(0), replay, 3).seen.current is None


def test_more_than_fits_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        add(empty_replay(2, SEEN, ACTIONS), numbered([1, 2, 3]))


def test_levels_keep_the_range_and_clip_beyond_it():
    ends = jnp.array([PICTURE_LOW, PICTURE_HIGH, PICTURE_LOW - 1.0, PICTURE_HIGH + 1.0])
    found = dequantize(quantize(ends))
    assert found is not None
    np.testing.assert_allclose(found, [PICTURE_LOW, PICTURE_HIGH] * 2, atol=1e-6)


def test_small_distances_are_kept_finely_and_large_ones_to_a_twentieth():
    away = jnp.concatenate([jnp.linspace(-0.01, 0.01, 401), jnp.geomspace(0.01, 3.0, 200)])
    target = jnp.linspace(PICTURE_LOW, PICTURE_HIGH, 601)
    found = restored(jnp.zeros(1), quantize(target), quantize_distance(target + away, target))
    assert found.current is not None and found.target is not None
    np.testing.assert_allclose(found.target, target, atol=0.5 * 3.0 / LEVELS + 1e-6)
    off = np.abs(np.asarray(found.current - found.target - away))
    # 0.09 dB, what a level moved by 1 % makes, is 0.0018 of the pictures' unit of 50 dB.
    assert off[np.abs(away) < 0.002].max() < 0.0002
    assert (off <= 0.03 * np.abs(away) + 0.0002).all()


def test_no_distance_is_no_distance_and_what_is_too_far_is_clipped():
    target = jnp.asarray([0.3, PICTURE_LOW, PICTURE_HIGH])
    same = restored(jnp.zeros(1), quantize(target), quantize_distance(target, target))
    np.testing.assert_array_equal(same.current, same.target)
    far = quantize_distance(target + jnp.asarray([9.0, 3.0, -3.0]), target)
    np.testing.assert_array_equal(far, [127, 127, -127])


def test_labels_are_kept_where_there_is_room_for_them():
    steps = numbered([1, 2, 3])
    labelled = steps._replace(labels=Labels(jnp.arange(3), jnp.full((3, 3), 0.25)))
    kept = add(empty_replay(4, SEEN, ACTIONS, labelled=True), labelled)
    found = sample(jax.random.key(0), kept, 16)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels.module, found.reward / 2.0 - 1.0)
    assert found.labels.delta.shape == (16, 3)
    plain = add_rows(empty_replay(4, SEEN, ACTIONS), pack(labelled))
    chex.assert_trees_all_equal(plain, add(empty_replay(4, SEEN, ACTIONS), steps))

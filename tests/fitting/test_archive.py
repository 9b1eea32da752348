"""The archive: selection against a plain re-implementation."""

import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.core.archive import BAD_LOSS, DISTINCT, Members, empty_members, keep_distinct

D = 25


def random_units(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.95, (count, D)).astype(np.float32)


def plain_distinct(u: np.ndarray, loss: np.ndarray, count: int) -> list[int]:
    chosen: list[int] = []
    for i in np.argsort(loss, kind="stable"):
        if all(np.sqrt(np.mean(np.square(u[i] - u[j]))) >= DISTINCT for j in chosen):
            chosen.append(int(i))
    return chosen[:count]


@pytest.mark.parametrize("seed", range(3))
def test_the_best_distinct_ones_are_kept(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(size=(12, D))
    u = (centres[rng.integers(0, 12, 60)] + 0.002 * rng.standard_normal((60, D))).astype(np.float32)
    loss = rng.uniform(1.0, 5.0, 60).astype(np.float32)
    kept = keep_distinct(Members(jnp.asarray(u), jnp.asarray(loss)), 8)
    expected = plain_distinct(u, loss, 8)
    assert len(expected) == 8
    np.testing.assert_array_equal(kept.loss, loss[expected])
    np.testing.assert_array_equal(kept.u, u[expected])


def test_copies_fill_up_before_empty_places_do():
    nobody = empty_members(3, D)
    u = np.repeat(random_units(2), 2, axis=0)
    pool = Members(
        jnp.concatenate([nobody.u, u]), jnp.concatenate([nobody.loss, jnp.asarray([2.0, 2.0, 1.0, 1.0])])
    )
    kept = np.asarray(keep_distinct(pool, 5).loss)
    np.testing.assert_array_equal(kept[:2], [1.0, 2.0])
    np.testing.assert_array_equal(np.sort(kept[2:4]), [1.0, 2.0])
    assert kept[4] == np.float32(BAD_LOSS)

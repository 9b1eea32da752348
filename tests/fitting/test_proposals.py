"""Candidates from nothing and from others: in bounds, locked knobs left alone, every kind of jump made."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.solvers.proposals import jumps

KEY = jax.random.key(3)
M, D = 4000, 25
PARENT, OTHER = np.float32(0.37), np.float32(0.61)


make_children = jax.jit(jumps)


def children(free: np.ndarray, key=KEY, borrow: float = 0.0) -> np.ndarray:
    others, movable = jnp.full((8, D), OTHER), jnp.asarray(free, jnp.float32)
    return np.asarray(make_children(key, jnp.full((M, D), PARENT), others, movable, borrow=borrow))


@pytest.fixture(scope="module")
def of_all() -> np.ndarray:
    return children(np.ones(D))


def test_children_are_knob_positions(of_all):
    assert of_all.shape == (M, D)
    assert np.isfinite(of_all).all()
    assert of_all.min() >= 0
    assert of_all.max() <= 1


def test_a_parent_on_its_stops_has_children_in_bounds():
    for stop in (0.0, 1.0):
        found = np.asarray(
            make_children(KEY, jnp.full((500, D), stop), jnp.full((8, D), 1.0 - stop), jnp.ones(D))
        )
        assert found.min() >= 0
        assert found.max() <= 1
        assert (found != stop).any(axis=1).mean() > 0.7


def test_nearly_every_child_differs_in_a_few_knobs(of_all):
    count = (of_all != PARENT).sum(axis=1)
    assert (count > 0).mean() > 0.99
    assert np.median(count) <= 4
    assert count.max() < D


def test_every_knob_is_reached_about_equally(of_all):
    fresh_or_moved = (of_all != PARENT) & (of_all != OTHER)
    share = fresh_or_moved.mean(axis=0)
    assert share.min() > 0.5 * share.mean()
    assert share.max() < 1.5 * share.mean()


def test_all_kinds_of_jump_occur(of_all):
    crossed = (of_all == OTHER).any(axis=1)
    others = of_all[~crossed]
    others = others[others != PARENT]
    assert 0.1 < crossed.mean() < 0.3
    # Fresh values come from all of the range and from both stops, about equally; steps stay near.
    for stop in (0.0, 1.0):
        assert 0.02 < (others == stop).mean() < 0.1
    assert (np.abs(others - PARENT) < 0.03).mean() > 0.1
    assert (others > 0.9).mean() > 0.04


def test_a_cross_takes_over_neighbours(of_all):
    crossed = of_all[(of_all == OTHER).any(axis=1)]
    assert np.isin(crossed, (PARENT, OTHER)).all()
    taken = crossed == OTHER
    borders = (taken != np.roll(taken, 1, axis=1)).sum(axis=1)
    assert (borders == 2).all()


def test_redrawn_knobs_may_be_borrowed_from_others(of_all):
    found = children(np.ones(D), borrow=0.5)
    one_borrowed = ((found == OTHER).sum(axis=1) == 1) & ((found != PARENT).sum(axis=1) == 1)
    # A cross of a single knob looks the same, and is rarer.
    alone = ((of_all == OTHER).sum(axis=1) == 1).mean()
    assert one_borrowed.mean() > alone + 0.05


@pytest.mark.parametrize("often", [1.0, 8.0])
def test_a_knob_may_be_chosen_more_often(often):
    weights = jnp.ones(D).at[3].set(often)
    others, parents = jnp.full((8, D), OTHER), jnp.full((M, D), PARENT)
    found = np.asarray(make_children(KEY, parents, others, jnp.ones(D), weights, borrow=0.0))
    moved = ((found != PARENT) & (found != OTHER)).mean(axis=0)
    ratio = moved[3] / np.delete(moved, 3).mean()
    assert (0.7 < ratio < 1.4) if often == 1.0 else ratio > 3.0


@pytest.mark.parametrize("count", [0, 1, 5])
def test_locked_knobs_are_untouched_and_the_free_ones_searched(count):
    free = np.zeros(D)
    free[:count] = 1
    found = children(free)
    assert (found[:, count:] == PARENT).all()
    if count:
        # A cross that starts elsewhere may change no free knob.
        assert (found[:, :count] != PARENT).any(axis=1).mean() > 0.75


def test_children_depend_on_the_key(of_all):
    assert (children(np.ones(D), jax.random.key(4)) != of_all).any()
    np.testing.assert_array_equal(children(np.ones(D)), of_all)


def test_works_for_two_knobs():
    found = np.asarray(make_children(KEY, jnp.full((200, 2), PARENT), jnp.full((3, 2), OTHER), jnp.ones(2)))
    assert (found != PARENT).any(axis=1).mean() > 0.8

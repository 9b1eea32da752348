"""Streams: a purpose's key is its own, and depends on nothing but the root and the purpose's name."""

import jax
import numpy as np

from ddsprl.fitting.core.driver import Keys, keys_of
from ddsprl.fitting.core.streams import Streams, named, streams_of

ROOT = jax.random.key(5)


def data(*keys: jax.Array) -> np.ndarray:
    return np.stack([np.asarray(jax.random.key_data(key)) for key in keys])


def test_a_purpose_more_changes_no_other():
    np.testing.assert_array_equal(
        data(*named(ROOT, "noise", "draw")), data(*named(ROOT, "draw", "noise"))[::-1]
    )
    np.testing.assert_array_equal(data(*named(ROOT, "draw")), data(*named(ROOT, "draw", "more"))[:1])


def test_no_two_purposes_share_a_key():
    streams = streams_of(ROOT)
    used = data(ROOT, *streams, *keys_of(streams.search), *streams_of(streams.elsewhere))
    assert len(used) == 1 + 2 * len(Streams._fields) + len(Keys._fields)
    assert len(np.unique(used, axis=0)) == len(used)


def test_a_batch_has_the_keys_of_its_members():
    roots = jax.random.split(ROOT, 3)
    whole = jax.vmap(streams_of)(roots)
    np.testing.assert_array_equal(data(*[row[1] for row in whole]), data(*streams_of(roots[1])))

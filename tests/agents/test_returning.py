"""Returns to the best patch: whose turn it is, which module goes back and how far, and how noise narrows."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.distributions import TanhNormal
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.returning import returned
from ddsprl.agents.sac import Sac, SacConfig
from ddsprl.agents.types import ActionSpec, Override, Seen, SeenSpec
from ddsprl.env import WayBack, make_matcher
from ddsprl.env.match import actions
from synth_jax.params import module_of_knob, modules_of
from tests.env.toy import toy, toy_config

SPEC = ActionSpec(3, (0, 2, 0, 1, 2))
# The module in the middle has nothing unlocked; of the first one only one knob is.
ALLOWED = SPEC.allowed([1.0, 1.0, 0.0, 0.0, 1.0])
KEY = jax.random.key(0)
SILENT = TanhNormal(jnp.full(5, 0.4), jnp.full(5, -20.0))
OWN = jnp.asarray(0)


def memory(away: list[float], since: int = 1) -> WayBack:
    """Of knobs so far from the best ones, where an edit moves a knob by at most 0.2."""
    return WayBack(jnp.array(away), jnp.array(away) / 0.2, jnp.asarray(since))


def edit(away: list[float], vain: int = 1, deltas: TanhNormal = SILENT) -> Override:
    return returned(KEY, OWN, deltas, memory(away), jnp.asarray(vain), ALLOWED, SPEC)


def test_the_farthest_unlocked_module_goes_back_as_far_as_an_edit_reaches():
    # Locked knobs are farther away than any, and do not count.
    found = edit([0.05, -0.1, 0.9, 0.9, 0.5])
    assert int(found.module) == 2
    np.testing.assert_allclose(found.delta[jnp.array([1, 4])], [-0.5, 1.0], atol=1e-6)
    assert int(edit([0.3, -0.1, 0.0, 0.0, 0.1]).module) == 0


def test_the_policy_and_the_way_back_take_turns():
    assert [bool(edit([0.1] * 5, vain).due) for vain in range(5)] == [False, True, False, True, False]


def test_at_the_best_patch_itself_noise_is_put_where_the_policy_would_edit():
    found = edit([0.0] * 5)
    assert int(found.module) == int(OWN)
    # Around the patch, not around where the policy would go.
    np.testing.assert_allclose(found.delta, 0.0, atol=1e-6)


def test_the_way_back_has_the_policys_width():
    wide = SILENT._replace(log_std=jnp.log(jnp.array([0.01, 0.02, 0.04, 0.08, 0.16])))
    keys = jax.random.split(KEY, 500)
    remembered, vain = memory([0.05] * 5), jnp.asarray(1)
    run = jax.vmap(lambda key: returned(key, OWN, wide, remembered, vain, ALLOWED, SPEC).delta)
    found = jax.jit(run)(keys)
    np.testing.assert_allclose(found.std(axis=0), jnp.exp(wide.log_std), rtol=0.15)
    np.testing.assert_allclose(found.mean(axis=0), 0.25, atol=0.03)


@pytest.fixture(scope="module")
def agent():
    made = Sac(SacConfig(network=NetworkConfig(width=8, blocks=1), opening=1), SPEC, SeenSpec(10))
    return made, jax.jit(made.init)(KEY)


def test_edits_of_the_opening_are_not_in_vain(agent):
    made, state = agent
    at, remembered = Seen(jnp.full(10, 0.5)), memory([0.0, 0.1, 0.0, 0.0, 0.1], since=3)

    def act(turn: int | None, since: int | None):
        given = None if since is None else remembered._replace(since=jnp.asarray(since))
        return made.act(
            KEY, state, at, ALLOWED, turn=None if turn is None else jnp.asarray(turn), memory=given
        )

    # Two modules and one round: edits 0 and 1 are the opening's.
    for turn in (0, 1):
        with_memory, without = act(turn, 3), act(turn, None)
        np.testing.assert_array_equal(with_memory.delta, without.delta)
    # The first edit after it is the policy's own, however old the best patch is; the next goes back.
    np.testing.assert_allclose(act(2, 3).delta, act(2, None).delta, rtol=1e-6)
    assert int(act(3, 3).module) == 2
    # Where there is no opening every edit counts.
    assert int(act(None, 3).module) == 2
    np.testing.assert_allclose(act(None, 0).delta, act(None, None).delta, rtol=1e-6)
    # Who does the likeliest does not return.
    greedy = made.act(KEY, state, at, ALLOWED, memory=remembered, greedy=True)
    plain = made.act(KEY, state, at, ALLOWED, greedy=True)
    np.testing.assert_array_equal(greedy.delta, plain.delta)


@pytest.mark.parametrize("mode", actions.MODES)
def test_what_is_remembered_leads_back_in_the_environment(mode):
    table, delta_max = toy().table, 0.2
    best = jnp.asarray(toy().default)
    u = jnp.clip(best + 0.05, 0.0, 1.0)
    params: Any = SimpleNamespace(delta_max=delta_max)
    state: Any = SimpleNamespace(u=u, t=jnp.asarray(5), best=SimpleNamespace(u=best, step=jnp.asarray(3)))
    found = make_matcher(toy_config(action=mode), instrument=toy()).way_back(state, params)
    assert int(found.since) == 2
    free = jnp.ones(len(table)).at[0].set(0.0)
    for module in range(len(modules_of(table))):
        action = {"module": module, "delta": found.back}
        if mode == "absolute":
            move = actions.decode_absolute(action, u, free, table)
        else:
            move = actions.decode(action, free, jnp.asarray(delta_max), table)
        moved = (module_of_knob(table) == module) & (np.asarray(free) > 0)
        after, _ = actions.apply(u, move)
        np.testing.assert_allclose(after, np.where(moved, best, u), atol=1e-6)

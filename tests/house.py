"""What every instrument must let the house do with it, in process and at the smallest shapes."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.judging import Judge
from ddsprl.comparison.plan import Method
from ddsprl.comparison.searching import Searcher
from ddsprl.comparison.suites import Case, preset_suite
from ddsprl.env import EnvConfig, flatten, make_matcher, recording_targets, stage_params, stages_of
from ddsprl.fitting.inversion.invert import Setup, invert
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.losses import ObjectiveConfig
from ddsprl.metrics import parameter_error
from synth_jax import INSTRUMENTS, Note, load_preset, preset_from_unit, save_preset

RATE, DURATION_S, BATCH, STARTS = 8_000, 0.1, 2, 64
OBJECTIVE = ObjectiveConfig(terms=("mr", "loud"), n_ffts=(256,), mel_n_fft=256)
# Starts, and one population.
BUDGET = STARTS + 64
KEY = jax.random.key(9)


@functools.cache
def inverter(name: str) -> Inverter:
    """The programs of an instrument; match and comparison share the solver's."""
    problem = make_problem(RATE, DURATION_S, instrument=name, objective=OBJECTIVE)
    return Inverter(problem, InversionConfig(candidates=8))


@functools.cache
def cases(name: str) -> tuple[Case, ...]:
    """Sounds whose presets are known; all of this file is about them."""
    return preset_suite(inverter(name).problem.instrument, parts=("random",), count=BATCH, seed=1).cases


def sounds(name: str) -> np.ndarray:
    return np.stack([case.audio for case in cases(name)])


def notes(name: str) -> Note:
    """Of the sounds, leaves `[batch]`."""
    return Note(*(np.array(x, np.float32) for x in zip(*(case.note for case in cases(name)), strict=True)))


def check_match(name: str) -> None:
    """Every sound of a batch gets a preset of the instrument that sounds, and a loss."""
    synth, played = inverter(name).problem.instrument, notes(name)
    how = {"method": "random", "start": "random", "budget": BUDGET, "setup": Setup(inverter=inverter(name))}
    found = invert(sounds(name), RATE, key=KEY, midi=played.midi, gate_s=played.gate_s, **how)
    assert found.u.shape == (BATCH, synth.n_params)
    np.testing.assert_allclose(found.u, synth.snap(jnp.asarray(found.u)), atol=1e-6)
    assert np.isfinite(found.loss).all() and np.isfinite(found.audio).all()
    assert (found.cost.renders == BUDGET).all()
    assert found.task.start.tolist() == ["random"] * BATCH


def check_comparison(name: str) -> None:
    """A search for presets whose knobs are known is judged, in sound and in knobs."""
    problem = inverter(name).problem
    method = Method("random", "random", "random", STARTS, False, 1, {})
    judge, searcher = Judge(problem, 1), Searcher(inverter(name), method, seed=1, gradient_cost=1.0)
    for case in cases(name):
        targets = judge.targets([case])
        found = searcher.run(targets, [case], budget=BUDGET, seed=0).solution
        verdict = judge.verdict(found.u, targets, [case])
        assert np.isfinite(verdict.loss).all() and np.isfinite(verdict.yardstick).all()
        assert case.u is not None
        wrong = parameter_error(found.u[0], case.u, problem.instrument, midi_free=False)
        assert 0.0 < wrong.mean < 1.0
        assert parameter_error(case.u, case.u, problem.instrument, midi_free=False).mean == 0.0


def check_episode(name: str) -> None:
    """Two episodes side by side: edits move knobs of the module that was chosen, rewards are finite."""
    sizes = {"sample_rate": RATE, "duration_s": DURATION_S, "steps": 3}
    env = make_matcher(EnvConfig(instrument=name, objective=OBJECTIVE, epsilon=0.0, **sizes))
    probes = jax.tree.map(lambda x: x[:, None], notes(name))
    targets = recording_targets(env.instrument, sounds(name)[:, None], probes)
    params, _ = stage_params(env, len(stages_of(env.instrument)), targets=targets)
    modules, table = env.instrument.modules, env.instrument.table

    @jax.jit
    @jax.vmap
    def episode(key, index):
        obs, state = env.reset_at(key, params, index)

        def edit(state, t):
            action = {"module": t % len(modules), "delta": jnp.ones(env.n_params)}
            after = env.step(key, state, action, params)
            return after.state, (after.reward, after.truncated)

        last, (reward, truncated) = jax.lax.scan(edit, state, jnp.arange(env.config.steps))
        return flatten(obs, env.observation.fields), last, reward, truncated

    flat, last, reward, truncated = episode(jax.random.split(KEY, BATCH), jnp.arange(BATCH))
    assert flat.shape == (BATCH, env.observation.fields[-1].span.stop)
    assert np.isfinite(flat).all() and np.isfinite(reward).all()
    assert truncated[:, -1].all() and not truncated[:, :-1].any()
    moved = np.asarray(last.history.move)
    for t in range(env.config.steps):
        others = [i for i, spec in enumerate(table) if spec.module != modules[t % len(modules)]]
        assert (moved[:, t, others] == 0.0).all()
    assert (moved != 0.0).any()


def check_preset(name: str, folder: Path) -> None:
    """A preset file gives back the very positions."""
    synth = INSTRUMENTS[name](RATE, DURATION_S)
    u = np.asarray(synth.snap(jax.random.uniform(KEY, (synth.n_params,))))
    save_preset(folder / "one.json", preset_from_unit(u, name, name="One", note=Note(57.0, 0.2, 1.0)))
    again = load_preset(folder / "one.json")
    assert again.instrument == name
    np.testing.assert_array_equal(again.to_unit(), u)

"""Making environments and their parameters, with the errors at the door."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ddsprl.env.match.actions import MODES
from ddsprl.env.match.curriculum import check_stage
from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.floors import REPEATS, TRAINING_REPEATS, losses_near_targets
from ddsprl.env.match.references import committed
from ddsprl.env.match.targets import make_bucket
from ddsprl.env.match.types import EnvConfig, EnvParams, RewardWeights, Targets
from ddsprl.losses.objective import ObjectiveConfig, ObjectiveWeights
from ddsprl.plant import MAX_PROBES, Plant, make_instrument
from synth_jax import Instrument
from synth_jax.params import nearest_hint

FLOOR_SEED = 40_000
_POSITIVE = ("steps", "bucket", "delta_max")
_NOT_NEGATIVE = ("seed", "improvement_weight", "move_weight", "silence_weight", "warm_start_noise")


def make_env(
    config: EnvConfig | Mapping[str, Any] | None = None, *, instrument: Instrument | None = None
) -> tuple[MatchEnv, EnvParams]:
    """An environment and the parameters of its first stage.

    Args:
        config: static settings; the defaults if None, a mapping of some of them otherwise.
        instrument: one that stands in no registry, instead of `config.instrument`.

    Raises:
        ValueError: a setting that is unknown or out of range.
    """
    settings = config_from(config)
    env = make_matcher(settings, instrument=instrument)
    params, _ = stage_params(env, settings.stage, count=settings.bucket, seed=settings.seed)
    return env, params


def config_from(given: EnvConfig | Mapping[str, Any] | None) -> EnvConfig:
    """Settings from a mapping, checked.

    Raises:
        ValueError: an unknown name (the nearest valid one is named) or a value out of range.
    """
    if given is None:
        return EnvConfig()
    if isinstance(given, EnvConfig):
        return _checked(given)
    names = [field.name for field in dataclasses.fields(EnvConfig)]
    for name in given:
        if name not in names:
            raise ValueError(f"no setting {name!r}{nearest_hint(name, names)}")
    values = dict(given)
    if isinstance(values.get("objective"), Mapping):
        values["objective"] = _objective_from(values["objective"])
    return _checked(EnvConfig(**values))


def _objective_from(given: Mapping[str, Any]) -> ObjectiveConfig:
    names = [field.name for field in dataclasses.fields(ObjectiveConfig)]
    for name in given:
        if name not in names:
            raise ValueError(f"objective: no setting {name!r}{nearest_hint(name, names)}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return ObjectiveConfig(**values)


def _checked(config: EnvConfig) -> EnvConfig:
    if not 1 <= config.probes <= MAX_PROBES:
        raise ValueError(f"probes: {config.probes}; allowed are 1 to {MAX_PROBES}")
    if config.action not in MODES:
        hint = nearest_hint(config.action, MODES)
        raise ValueError(f"action: {config.action!r}; allowed are {', '.join(MODES)}{hint}")
    for name in _POSITIVE:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name}: {getattr(config, name)} is not positive")
    for name in _NOT_NEGATIVE:
        if not getattr(config, name) >= 0:
            raise ValueError(f"{name}: {getattr(config, name)} is negative")
    if config.delta_max > 1.0:
        raise ValueError(f"delta_max: {config.delta_max}; a knob's range is 1")
    if not 0.0 <= config.warm_start_probability <= 1.0:
        raise ValueError(f"warm_start_probability: {config.warm_start_probability} is not in 0 to 1")
    return config


def make_matcher(config: EnvConfig, *, instrument: Instrument | None = None) -> MatchEnv:
    """The environment alone, without parameters.

    Raises:
        ValueError: an unknown instrument, one that hears no notes, a rate or length that it does not take, or
            a stage that it does not have.
    """
    _checked(config)
    made = instrument or _instrument(config.instrument, config.sample_rate, config.duration_s)
    if made.hears != "note":
        raise ValueError(f"instrument: {made.name} hears a {made.hears}; this environment plays notes")
    check_stage(config.stage, made)
    if instrument is None:
        return MatchEnv(config, Plant(made))
    # The settings name what is played, so that no reference of another instrument is looked up.
    own = {
        "instrument": instrument.name,
        "sample_rate": instrument.sample_rate,
        "duration_s": instrument.duration_s,
    }
    return MatchEnv(dataclasses.replace(config, **own), Plant(instrument))


@functools.lru_cache(maxsize=16)
def _instrument(name: str, sample_rate: int, duration_s: float) -> Instrument:
    """One object a setting, so that equal environments share compiled programs."""
    return make_instrument(name, sample_rate, duration_s)


def stage_params(
    env: MatchEnv,
    stage: int,
    *,
    split: str = "train",
    count: int | None = None,
    seed: int | None = None,
    epsilon: float | None = None,
    targets: Targets | None = None,
) -> tuple[EnvParams, int]:
    """Parameters of a stage, with a bucket of its own.

    Two stages with equally many targets have equal shapes, so that nothing compiles anew. Held-out buckets
    start at the neutral patch only, so that an evaluation does not depend on luck.

    Args:
        env: the environment.
        stage: from 1, one of the instrument's.
        split: `train`, `held_out` or `reference`: buckets that share no preset.
        count: targets; as configured if None.
        seed: as configured if None.
        epsilon: as configured if None; if that is None too, from the committed references and the targets'
            floors.
        targets: instead of a bucket: known presets or recordings, see `targets`.

    Returns:
        The parameters, and how many presets were too quiet for the bucket.

    Raises:
        ValueError: no such stage or split, or no epsilon is known for this setup.
    """
    config, rejected = env.config, 0
    free = env.stage_mask(stage)
    epsilon = config.epsilon if epsilon is None else epsilon
    known = committed(env)[stage - 1] if epsilon is None else None
    if targets is None:
        targets, rejected = make_bucket(
            env.instrument,
            free,
            count=config.bucket if count is None else count,
            probes=config.probes,
            split=split,
            stage=stage,
            seed=config.seed if seed is None else seed,
        )
    elif jnp.shape(targets.notes.midi)[1] != config.probes:
        raise ValueError(f"targets: {jnp.shape(targets.notes.midi)[1]} notes each, probes is {config.probes}")
    warm = config.warm_start_probability if split == "train" else 0.0
    weights = RewardWeights(config.improvement_weight, config.move_weight, config.silence_weight)
    params = _traced(
        EnvParams(
            free=free,
            targets=targets,
            objective=ObjectiveWeights(),
            reward=weights,
            epsilon=epsilon if known is None else known.one_percent,
            delta_max=config.delta_max,
            warm_start_probability=warm,
            warm_start_noise=config.warm_start_noise,
        )
    )
    if known is None or targets.u is None:
        return params, rejected
    repeats = TRAINING_REPEATS if split == "train" else REPEATS
    (floor,) = losses_near_targets(env, params, (0.0,), seed=FLOOR_SEED, repeats=repeats)
    return params._replace(targets=targets._replace(floor=floor), epsilon=jnp.float32(known.excess)), rejected


def _traced(params: EnvParams) -> EnvParams:
    """All leaves as arrays, so that other values compile no other program."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)

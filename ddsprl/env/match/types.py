"""The records of the environment, with every field's shape.

One datum's way, for an instrument of `d` knobs, `p` probes and clips of `n` samples:

    params.targets.u[i] ──render──▶ audio [p, n] ──prepare──▶ Episode          once, at reset
    action ──decode──▶ move [d] ──clamp──▶ u [d] ──snap, render──▶ audio [p, n]   every step
    audio ──compare with Episode──▶ loss, penalties ──▶ reward and its terms
    audio ──hear──▶ AudioFeatures ──▶ observation

`u` is relaxed: a discrete knob's position accumulates in it, and only its snapped value is rendered, so many
small deltas reach the next choice. What does not change within an episode stands in `Episode`, apart from
the rest of the state, so that a step neither copies nor returns it anew.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from ddsprl.env.contract import EnvironmentConfig
from ddsprl.losses.objective import ObjectiveConfig, ObjectiveWeights, TargetFeatures
from synth_jax import Note
from synth_jax.instruments import DEFAULT_INSTRUMENT


@dataclass(frozen=True, kw_only=True)
class EnvConfig(EnvironmentConfig):
    """Static settings; hashable. Those marked (params) are only the first values of `EnvParams`.

    Attributes:
        name: of this kind of environment.
        instrument: a name of `synth_jax.INSTRUMENTS`.
        sample_rate: Hz.
        duration_s: length of one probe's clip in seconds.
        probes: notes played at every step, 1 to 4.
        steps: T, after which an episode is truncated.
        stage: from 1, one of the instrument's, see `curriculum` (params).
        bucket: targets in the training bucket (params).
        seed: of the bucket (params).
        objective: terms and windows of the loss.
        history: whether the state keeps every step's knobs, move, module and loss.
        epsilon: an episode terminates below this loss. None: below the target's own noise floor plus the
            stage's excess in `data/references.json`; floors are measured when a bucket is made (params).
        action: `delta` moves knobs; `absolute` names their positions, see `actions`.
        delta_max: largest move of a knob in one step, in knob positions (params); of deltas only.
        improvement_weight: beta (params).
        move_weight: lambda (params).
        silence_weight: of the silence penalty (params).
        warm_start_probability: of a start near the target (params).
        warm_start_noise: largest standard deviation of such a start's knobs around the target's; an episode's
            own is uniform below it (params).
        guess: whether the observation has a guess at the target's knobs; the targets must then bring one, see
            `Targets.guess`.
    """

    name: str = "match"
    instrument: str = DEFAULT_INSTRUMENT
    sample_rate: int = 16_000
    duration_s: float = 0.5
    probes: int = 1
    steps: int = 50
    stage: int = 1
    bucket: int = 1024
    seed: int = 0
    objective: ObjectiveConfig = ObjectiveConfig()
    history: bool = True
    epsilon: float | None = None
    action: str = "delta"
    delta_max: float = 0.1
    improvement_weight: float = 1.0
    move_weight: float = 0.2
    silence_weight: float = 5.0
    warm_start_probability: float = 0.2
    warm_start_noise: float = 0.1
    guess: bool = False


class Targets(NamedTuple):
    """Sounds to match; a pytree with a leading axis of `count` on every leaf.

    Attributes:
        notes: at which each target is played, leaves `[count, p]`.
        u: knobs of each target `[count, d]`, snapped; None where nobody knows them.
        audio: recordings `[count, p, n]`; None where the target is rendered from `u`.
        floor: noise floors `[count]`: the loss at the target's own knobs, see `floors`; None counts as 0.
        free: 1 for knobs that may move, of each target `[count, d]`; None where all have `EnvParams.free`.
        margin: how far above its floor each target's episode ends, `[count]`; None where all have
            `EnvParams.epsilon`.
        guess: the targets' knobs as somebody guessed them from the sounds, then their standard deviations,
            `[count, 2 d]`; None where nobody did. `ddsprl.fitting.guess.of_targets` makes them.
    """

    notes: Note
    u: jax.Array | None = None
    audio: jax.Array | None = None
    floor: jax.Array | None = None
    free: jax.Array | None = None
    margin: jax.Array | None = None
    guess: jax.Array | None = None


class RewardWeights(NamedTuple):
    """Weights of the reward's terms beside the loss; scalars.

    The penalties for offset, clipping and overshoot have their weights in `ObjectiveWeights`.

    Attributes:
        improvement: beta, of the step below the best loss so far.
        move: lambda, of the squared norm of the applied move.
        silence: of the silence penalty.
    """

    improvement: Any
    move: Any
    silence: Any


class EnvParams(NamedTuple):
    """What may change between episodes without compiling anew; a pytree.

    Attributes:
        free: 1 for knobs that may move, 0 for locked ones, `[d]`: the stage's mask.
        targets: the stage's bucket.
        objective: weights of the loss terms.
        reward: weights of the other terms of the reward.
        epsilon: scalar, how far above the target's floor the loss may be for an episode to terminate.
        delta_max: scalar, largest move of a knob in one step.
        warm_start_probability: scalar.
        warm_start_noise: scalar, in knob positions.
    """

    free: jax.Array
    targets: Targets
    objective: ObjectiveWeights
    reward: RewardWeights
    epsilon: Any
    delta_max: Any
    warm_start_probability: Any
    warm_start_noise: Any


class AudioFeatures(NamedTuple):
    """What the observation needs of a sound.

    Attributes:
        log_mel: `[64, p * frames]`, scaled; the probes stand one after the other on the time axis.
        mfcc: `[20, p * frames]`, dB.
        centroid: `[p]`, octaves above 20 Hz.
        loudness: `[p]`, LUFS, ungated.
    """

    log_mel: jax.Array
    mfcc: jax.Array
    centroid: jax.Array
    loudness: jax.Array


class Episode(NamedTuple):
    """What stays as it is from reset to the end.

    Attributes:
        index: scalar int, the target's place in `params.targets`.
        notes: leaves `[p]`.
        u: knobs of the target `[d]`; half where unknown. For scripts and metrics, never observed.
        free: 1 for knobs that may move, `[d]`.
        features: the objective's, of each probe, leaves `[p, ...]`.
        heard: the target's.
        epsilon: scalar loss below which the episode terminates.
        target_key: of the noise in the target.
        render_key: of the noise in every candidate; never the target's.
        guess: as in `Targets`, `[2 d]`; None where the observation has none.
    """

    index: jax.Array
    notes: Note
    u: jax.Array
    free: jax.Array
    features: TargetFeatures
    heard: AudioFeatures
    epsilon: jax.Array
    target_key: jax.Array
    render_key: jax.Array
    guess: jax.Array | None = None


class Best(NamedTuple):
    """The best sound of the episode so far.

    Attributes:
        loss: scalar.
        u: its knobs `[d]`, relaxed.
        step: scalar int, the step that found it; 0 is the start.
        mfcc: `[20, p * frames]`.
        centroid: `[p]`.
        loudness: `[p]`.
    """

    loss: jax.Array
    u: jax.Array
    step: jax.Array
    mfcc: jax.Array
    centroid: jax.Array
    loudness: jax.Array


class History(NamedTuple):
    """The episode's log; rows that are not reached yet hold zeros, and -1 as module.

    Attributes:
        knobs: `[T + 1, d]`, relaxed; row 0 is the start.
        loss: `[T + 1]`.
        module: int `[T]`, as chosen.
        move: `[T, d]`, as applied.
    """

    knobs: jax.Array
    loss: jax.Array
    module: jax.Array
    move: jax.Array


class EnvState(NamedTuple):
    """One episode.

    Attributes:
        episode: what does not change.
        u: knob positions `[d]`, relaxed; `snap(u)` is heard.
        t: scalar int, steps taken.
        loss: scalar, of the current sound.
        best: the best so far.
        history: the log, or None.
    """

    episode: Episode
    u: jax.Array
    t: jax.Array
    loss: jax.Array
    best: Best
    history: History | None


class Final(NamedTuple):
    """What an ended episode leaves: enough to render its target and its best sound again.

    Attributes:
        index: int, the target's place in the bucket.
        u: `[d]`, the best knobs.
        target_key: of the noise in the target.
        render_key: of the noise in the candidates.
    """

    index: jax.Array
    u: jax.Array
    target_key: jax.Array
    render_key: jax.Array

"""Chains: an instrument and the effects behind it, as one instrument.

    lead = chain(serum, drive, echo)        # hears a note, knobs `drive.gain`, `echo.time` and so on
    rack = chain(drive, echo)               # hears a sound: an effect itself

A chain hears what its first part hears; every other part hears the sound of the one before.
"""

from collections import Counter
from dataclasses import replace
from itertools import accumulate

import jax

from synth_jax.excitation import Excitation, Sound
from synth_jax.instrument import Instrument, make_instrument
from synth_jax.params import Table


def chain(first: Instrument, *effects: Instrument, name: str | None = None) -> Instrument:
    """One instrument from several in a row.

    The table is theirs in a row, with names, modules and groups that say whose they are; a part that stands
    there again is counted (`drive`, `drive2`). Part i draws its noise from `fold_in(key, i)`. What is known
    of the parts is not known of the chain.

    Args:
        first: an instrument of either kind.
        effects: instruments that hear a sound, of its rate and length.
        name: of the chain; the parts' names joined by `+` if None.

    Raises:
        ValueError: a part behind the first hears notes, or has another rate or length.
    """
    for effect in effects:
        if effect.hears != "sound":
            raise ValueError(f"{effect.name} hears a {effect.hears}; only effects stand behind {first.name}")
        if (effect.sample_rate, effect.n_samples) != (first.sample_rate, first.n_samples):
            own = f"{effect.n_samples} samples at {effect.sample_rate} Hz"
            given = f"{first.n_samples} samples at {first.sample_rate} Hz"
            raise ValueError(f"{effect.name} takes {own}; {first.name} makes {given}")
    parts = (first, *effects)
    ends = list(accumulate(part.n_params for part in parts))

    def render(u: jax.Array, excitation: Excitation, key: jax.Array) -> jax.Array:
        for i, (part, end) in enumerate(zip(parts, ends, strict=True)):
            own = u[end - part.n_params : end]
            audio = part.render(own, excitation, jax.random.fold_in(key, i))
            excitation = Sound(audio)
        return audio

    joined = "+".join(part.name for part in parts) if name is None else name
    shape = (first.sample_rate, first.duration_s)
    return make_instrument(joined, _table(parts), *shape, render, hears=first.hears)


def _table(parts: tuple[Instrument, ...]) -> Table:
    """All knobs in a row, named after their parts."""
    seen: Counter[str] = Counter()
    table: list = []
    for part in parts:
        seen[part.name] += 1
        count = seen[part.name]
        owner = part.name if count == 1 else f"{part.name}{count}"
        table += [
            replace(
                spec,
                name=f"{owner}.{spec.name}",
                module=f"{owner}.{spec.module}",
                group=f"{owner}: {spec.group}" if spec.group else owner,
            )
            for spec in part.table
        ]
    return tuple(table)

"""Effects."""

from synth_jax.effects.softclip import soft_clip as soft_clip

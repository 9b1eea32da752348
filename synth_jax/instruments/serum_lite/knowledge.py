"""What is known of Serum-lite besides its table."""

from synth_jax.instruments.serum_lite.audible import AUDIBLE
from synth_jax.instruments.serum_lite.symmetries import SYMMETRIES
from synth_jax.knowledge import EnvelopeKnobs, FilterKnobs, Knowledge, Stage

ENVELOPE = EnvelopeKnobs("amp_attack", "amp_decay", "amp_sustain", "amp_release")
FILTER = FilterKnobs("filter_cutoff", "filter_resonance")

KNOWLEDGE = Knowledge(
    stages=(
        Stage("levels and mix", ("osc1_level", "osc2_level", "noise_level", "master_volume")),
        Stage("filter", tuple(FILTER)),
        Stage("amp envelope", tuple(ENVELOPE)),
        Stage("unison", ("osc1_unison", "osc1_detune_cents", "osc2_unison", "osc2_detune_cents")),
    ),
    twins=tuple(
        (f"osc1_{name}", f"osc2_{name}") for name in ("wave_morph", "unison", "detune_cents", "level")
    ),
    envelope=ENVELOPE,
    filter=FILTER,
    symmetries=SYMMETRIES,
    audible=AUDIBLE,
    flat_presets=True,
)

"""synth_jax: synthesizers as pure, jitted, differentiable functions."""

from synth_jax.chain import chain as chain
from synth_jax.excitation import Excitation as Excitation
from synth_jax.excitation import Note as Note
from synth_jax.excitation import Sound as Sound
from synth_jax.instrument import Instrument as Instrument
from synth_jax.instruments import INSTRUMENTS as INSTRUMENTS
from synth_jax.instruments.serum_lite import serum_lite as serum_lite
from synth_jax.instruments.sine import sine as sine
from synth_jax.knowledge import Knowledge as Knowledge
from synth_jax.params import ParamSpec as ParamSpec
from synth_jax.preset_rules import PresetError as PresetError
from synth_jax.presets import Preset as Preset
from synth_jax.presets import load_bank as load_bank
from synth_jax.presets import load_preset as load_preset
from synth_jax.presets import preset_from_unit as preset_from_unit
from synth_jax.presets import save_preset as save_preset
from synth_jax.presets import shipped_presets_dir as shipped_presets_dir
from synth_jax.schema import preset_schema as preset_schema

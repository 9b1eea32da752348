"""Files, sound, runs and the terminal; nothing here knows what a match or an episode is."""

from ddsprl.io.audio import Clip, expand_inputs, load_audio, write_wav
from ddsprl.io.errors import EXIT_INTERRUPTED, UserError, did_you_mean, nearest, run_cli
from ddsprl.io.output import ensure_output, staged_directory, versions, write_json
from ddsprl.io.progress import Display, progress_display
from ddsprl.io.segment import choose_length, estimate_gate, fit_length, trim_onset

__all__ = [
    "EXIT_INTERRUPTED",
    "Clip",
    "Display",
    "UserError",
    "choose_length",
    "did_you_mean",
    "ensure_output",
    "estimate_gate",
    "expand_inputs",
    "fit_length",
    "load_audio",
    "nearest",
    "progress_display",
    "run_cli",
    "staged_directory",
    "trim_onset",
    "versions",
    "write_json",
    "write_wav",
]

"""All terms of the objective, in order; a new one is one file and one line here.

The weights let each distance contribute a like amount between random harmonic sounds, about a fifth of what
MR-STFT does. They are per unit of the term, which is said behind each.
"""

from ddsprl.losses import centroid, envelope, level, log_mel, mfcc, mrstft, transport
from ddsprl.losses.term import Term

TERMS: dict[str, Term] = {
    "mr": mrstft.TERM,
    "mfcc": mfcc.TERM,  # dB
    "cent": centroid.TERM,  # octaves
    "loud": level.LOUD,  # LU
    "log_mel": log_mel.TERM,  # dB
    "envelope": envelope.TERM,  # dB
    "transport": transport.TERM,  # octaves
    "dc": level.DC,  # full-scale amplitude
    "clip": level.CLIP,  # fully clipped clips
    "overshoot": level.OVERSHOOT,  # LU
}

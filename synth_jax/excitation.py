"""What an instrument is given to sound: a `Note` that is played, or a `Sound` that goes through it."""

from typing import Any, Literal, NamedTuple


class Note(NamedTuple):
    """What the player does; a pytree of numbers or scalars, or of equal-shaped arrays for a batch.

    Attributes:
        midi: MIDI note number, may be fractional; 69 is 440 Hz.
        gate_s: seconds for which the key is held.
        velocity: linear gain, 1.0 is nominal.
    """

    midi: Any = 60.0
    gate_s: Any = 0.4
    velocity: Any = 1.0


class Sound(NamedTuple):
    """What an effect hears; a pytree of one array, with leading axes for a batch.

    Attributes:
        audio: about -1 to 1, `[n]`, at the instrument's rate and length.
    """

    audio: Any


Excitation = Note | Sound
Hears = Literal["note", "sound"]
EXCITATIONS: dict[Hears, type[Note] | type[Sound]] = {"note": Note, "sound": Sound}

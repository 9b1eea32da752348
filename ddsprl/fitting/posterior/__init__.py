"""Analysis by synthesis as inference: all the presets that explain a sound.

sampling.py   what is called
chains.py     what all chains of one target do in a cycle
moves.py      moves with their Metropolis corrections
priors.py     what is known of a preset before its sound is heard
summary.py    intervals, and how far to trust them
"""

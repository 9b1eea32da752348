"""Guesses at the knobs from the sound alone: a trained network's distribution over presets.

model.py        weights with their header; mixtures and draws for a sound
features.py     what the network listens to
network.py      from features to a mixture of truncated normals
header.py       what weights are of, and whether they may be used
clips.py        examples, and what else sounds like them
training.py     the command that trains weights
of_targets.py   guesses at an environment's targets
data/           weights that are shipped, by instrument
"""

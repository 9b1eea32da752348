"""What is said about the presets that a search has found.

analysis.py      of a group: all of the following, and posteriors
sensitivity.py   which knobs matter
topk.py          which presets differ
reach.py         whether the instrument can make the sound at all
references.py    the best of some random presets
"""

"""Demonstrations: episodes of solvers or of known presets, for an agent to begin with.

recording.py    `record`: search, play, write down
planning.py     goals, and edits towards them
playing.py      episodes of a demonstrator
files.py        on disk
cloning.py      an actor that does what a demonstrator did
warm_start.py   those of a run: once a stage, kept, cloned, mixed into batches
"""

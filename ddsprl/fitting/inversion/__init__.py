"""From sounds to presets, a group of targets at a time.

invert.py      `invert` and `invert_stream`: arrays in, records out
recording.py   from a recording to a target: onset, gate, pitch, length
methods.py     solver and start by name, and the defaults
inverter.py    the compiled programs of a length
grouped.py     groups: made ready, searched for, judged
several.py     several searches for the same targets
remote.py      searches on a plant that is played and recorded
"""

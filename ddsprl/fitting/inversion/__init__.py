"""From sounds to presets, a group of targets at a time.

records.py     what is asked for and what is found
invert.py      `invert` and `invert_stream`: arrays in, records out
recording.py   from a recording to a target: onset, gate, pitch, length
methods.py     solver and start by name, and the defaults
inverter.py    the compiled programs of a length
groups.py      groups: made ready, searched for, judged
searching.py   what searches for a group: a solver, once or several times
remote.py      searches on a plant that is played and recorded
"""

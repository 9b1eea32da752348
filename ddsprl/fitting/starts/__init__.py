"""Where searches begin: `registry.py` has all starts by name.

library.py    random presets with their features
cues.py       what can be read off a recording directly
"""

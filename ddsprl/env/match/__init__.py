"""The matching environment: turn knobs until a preset or a recording is matched.

environment.py   `MatchEnv`: reset and step, pure
types.py         its records, with every field's shape
make.py          environments and parameters from settings
targets.py       buckets of presets, recordings
actions.py       a module and a delta, and what they do
observation.py   what is heard and seen
reward.py        the reward, term by term
curriculum.py    stages
floors.py, references.py, measure_references.py   how close a sound can come, measured and stored
embedding.py     an episodic reward from a learned embedding
"""

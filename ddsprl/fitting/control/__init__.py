"""Problems that are not a match: a feature of the sound is pursued within stated guards.

problem.py    `ControlProblem`, and guards around a match
terms.py      goals and guards
"""

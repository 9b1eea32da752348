"""The solvers, and what they are made of; `registry.py` has all of them by name.

random_search.py, gradient.py, evolution.py, hybrid.py     a solver each
schedule.py, monitor.py, dither.py                         parts of the hybrid law
proposals.py                                               where members begin, and jumps from there
coordinates.py                                             unbounded coordinates
"""

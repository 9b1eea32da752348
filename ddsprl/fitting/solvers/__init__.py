"""The solvers, and what they are made of; `registry.py` has all of them by name.

random_search.py, gradient.py, evolution.py, hybrid.py     a solver each
schedule.py, monitor.py, dither.py, proposals.py           parts of the hybrid law
monitor_trace.py                                           what its monitor said on the way
distinct.py                                                where members begin
folding.py, reparam.py                                     unbounded coordinates
"""

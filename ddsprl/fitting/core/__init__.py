"""The core of all searches: what a solver is, what it works on, and who spends its budget.

solver.py     the contract: `init`, `ask`, `tell`
archive.py    presets with their losses, best first
problem.py    an instrument and an objective, and a target to match
budget.py     how a budget is spent, leg by leg
driver.py     one target, a budget spent to the last render
solve.py      the host's side: groups of targets, progress, Ctrl-C
stages.py     the same with an objective in stages
programs.py   compiled programs over targets, and how long they ran
"""

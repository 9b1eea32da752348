"""Comparing methods at equal budget: targets, references, runs that can be continued, tables and pages.

plan.py, options.py        what is compared, and how it is asked for
suites.py                  targets
searching.py, judging.py   one method's searches, and verdicts on what was found
execution.py, pricing.py   all pieces of work; what a gradient is charged as
results.py, summary.py     numbers as files hold them, and what may be claimed
markdown.py, curves.py     tables and pictures; page.py has both, and sounds
run.py                     from settings to a finished directory
"""

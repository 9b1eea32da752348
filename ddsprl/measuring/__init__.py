"""What measurements share, whatever they measure: pieces of work that go on where they were cut, and tables.

interruption.py   Ctrl-C and SIGTERM, for all commands
cells.py          finished pieces on disk
work.py           missing pieces, one after the other, with a display
keys.py           named streams of random keys
tables.py         estimates with intervals, and tables, as text
machine.py        where something was measured
"""

"""What measurements share, whatever they measure: pieces of work that go on where they were cut, and tables.

interruption.py   Ctrl-C and SIGTERM, for all commands
cells.py          finished pieces on disk
work.py           missing pieces, one after the other, with a display
keys.py           named streams of random keys
intervals.py      estimates with intervals, as JSON holds them and as text
tables.py         a table, as Markdown
machine.py        where something was measured
"""

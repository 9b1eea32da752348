"""Pictures and pages; nothing is computed here.

match.py         the report of a match
edits.py         an episode of edits
knobs.py         a row for every knob: which ones matter, intervals
style.py         colours and type; what pictures share, spectrograms among it
page.py          parts of an HTML page that needs nothing else
pictures.py      pictures by name, drawn here or by other processes (draw_worker.py)
"""

"""Pictures and pages; nothing is computed here.

match.py      the report of a match
edits.py      an episode of edits
parts.py      knobs that matter, intervals; what pictures share
style.py      colours and type
page.py       parts of an HTML page that needs nothing else
pictures.py   pictures by name, drawn here or by other processes (draw_worker.py)
"""

from ddsprl.drawing.match import draw_match_report as draw_match_report

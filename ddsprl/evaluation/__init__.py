"""How good an agent is: fixed held-out suites, measures, baselines, and the page that shows them.

suites.py, hearing.py                 targets, and how presets are heard and judged
methods.py, playing.py, search.py     an agent and what it is compared with
tuning.py, tune_cma_es.py             the settings of CMA-ES
run.py, measures.py, results.py       all pieces of work; what is said of them
page.py, pictures.py                  tables, pictures, `report.html`
options.py, command.py                the command line
"""

"""`kb eval`: how well a knowledge base finds, refuses and answers, measured on sets of questions.

datasets.py reads a public set, mine.py makes one for the user's documents, corpus.py embeds documents once.
ways.py lists the compared ways of searching; refusal.py, answers.py, spans.py and everyday.py measure, with
metrics.py; run.py does it for one set, report.py shows the results. The rest of the package imports nothing from
here.
"""

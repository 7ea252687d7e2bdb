"""`kb eval`: how well a knowledge base finds, refuses and answers, measured on sets of questions.

datasets.py reads a set, corpus.py embeds it once, ways.py lists the compared ways of searching, metrics.py and
refusal.py measure, report.py shows the results. The rest of the package imports nothing from here.
"""

"""`kb eval`: how well a knowledge base finds, refuses and answers, measured on sets of questions.

datasets.py reads a set, corpus.py embeds it once, ways.py says which ways of searching are compared, metrics.py
and refusal.py measure, report.py shows. Nothing here is imported by the rest of the package.
"""

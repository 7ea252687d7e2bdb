"""Trains the reader: examples.py makes pairs of question and passage from sets, network.py is the network with its
adapters and heads, reader.py trains, measures and writes the weights."""

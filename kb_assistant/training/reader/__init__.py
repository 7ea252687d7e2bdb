"""Trains the reader: examples.py makes pairs of question and passage from sets, network.py is the network with its
adapters and heads, train.py trains and writes the weights, measure.py measures them."""

"""Runs readers in restricted processes: the pool, the processes, their protocol and their rights."""

"""Readers run in bounded processes: a pool, the processes, what they are told and may do."""

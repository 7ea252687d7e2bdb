"""Maintenance of a knowledge base: verify, rebuild, doctor."""

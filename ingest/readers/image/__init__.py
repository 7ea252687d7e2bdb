"""Scans and pictures: text recognition."""

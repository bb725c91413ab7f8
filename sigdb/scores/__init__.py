"""Scores of all cells, computed in Python."""

"""Measurements, many of them side by side with others. Each prints a table and writes JSON."""

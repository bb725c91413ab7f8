"""Measurements, many of them compared with other packages. Each prints a table, and most write JSON."""

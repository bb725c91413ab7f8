"""Serve atlases to a team: one gate (who may ask, and how much), and doors for several protocols."""

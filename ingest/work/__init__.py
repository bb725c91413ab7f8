"""Attribute the chunks of a study, in one process or several."""

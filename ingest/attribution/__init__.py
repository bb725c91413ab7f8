"""Compute attributions: methods, baselines and devices."""

"""Compute attributions: methods, baselines, devices."""

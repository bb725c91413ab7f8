"""Shared by tests: small atlases, models, files and queries."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

"""Load scores that were computed elsewhere."""

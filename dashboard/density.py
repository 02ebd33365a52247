"""When a feature counts as dense, for every page and for programs."""

DENSE = 0.1
"""A feature that fires on at least this share of all samples is flagged as dense."""

"""Measured figures: `python -m benchmarks.run` writes every result to benchmarks/results/."""

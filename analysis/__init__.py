"""THINK: pure maths with NumPy and SciPy; no torch, no files, no store handles."""

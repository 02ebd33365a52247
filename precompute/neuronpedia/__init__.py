"""Neuronpedia's import bundle: written from a store, read back as labels, and verified by value."""

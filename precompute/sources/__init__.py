"""Activations made elsewhere: one module per kind of file, each describes a file as rows of samples that can be read."""

"""WRITE: models, corpora, SAEs, harvest and tables; the only package that imports torch."""

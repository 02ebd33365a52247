"""WRITE: models, corpora, SAEs, harvest and tables; the only package that imports torch."""

import os

# Threads that wait for others sleep instead of spinning: the server and the browser run on the same cores. Read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

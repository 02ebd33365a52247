"""REMEMBER: the SQL catalog of what changes (labels, training runs, pipeline jobs)."""

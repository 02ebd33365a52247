"""One table of a store per module: `run(config, workspace, progress)` computes it exactly, over all samples."""

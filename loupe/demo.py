"""`loupe demo`: the server starts at once in this process, the pipeline works behind it in another."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from loaders.errors import LoupeError
from loaders.workspace import Workspace
from loupe import door
from loupe.serving import serve

PLAN = ("plan", "Plan the demo", 0)
"""Id, title and position of the job that says on Home why the demo could not be planned."""


def run_demo(directory: str, model: str) -> int:
    """Build (or continue, or find finished) the demo workspace in this process."""
    from catalog.catalog import Catalog
    from catalog.jobs import jobs, put_job
    from loupe.showcase import showcase_task
    from precompute.demo import demo_tasks
    from precompute.lock import hold_workspace
    from precompute.pipeline import run_tasks

    workspace = Workspace(directory)
    with hold_workspace(workspace.root):
        catalog = Catalog(workspace.catalog_url)
        try:
            tasks = [*demo_tasks(workspace, model, catalog), showcase_task(workspace)]
        except LoupeError as error:
            put_job(catalog, *PLAN, "failed", note=str(error))
            raise
        if any(job.job_id == PLAN[0] for job in jobs(catalog)):
            put_job(catalog, *PLAN, "done")
        run_tasks(tasks, catalog)
    print(f"The demo workspace at '{directory}' is complete.", file=sys.stderr, flush=True)
    return 0


def serve_demo(parsed: argparse.Namespace) -> int:
    """Serve the workspace while a second process fills it; stopping the server stops the pipeline, resumably."""
    Path(parsed.workspace).mkdir(parents=True, exist_ok=True)
    door.settle(parsed)
    pipeline: list[subprocess.Popen[bytes]] = []
    owner = os.getpid()

    def start_pipeline(server: object) -> None:
        print(f"Loupe is at http://{parsed.host}:{parsed.port}; the pages fill while the pipeline runs.", flush=True)
        command = [
            sys.executable,
            "-m",
            "loupe",
            "demo",
            "--no-serve",
            "--workspace",
            parsed.workspace,
            "--model",
            parsed.model,
        ]
        pipeline.append(subprocess.Popen(command))

    try:
        serve(parsed.workspace, parsed.host, parsed.port, parsed.workers, parsed.threads, start_pipeline)
    finally:
        for process in pipeline if os.getpid() == owner else []:  # a worker that ends leaves by this way too
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait()
    return 0

"""Where progress is shown: lines or a bar on the terminal, and the jobs of the catalog that the Home page reads."""

import sys
import threading
import time

from tqdm import tqdm

from catalog.catalog import Catalog
from catalog.jobs import put_job
from precompute.progress import Step

LINE_SECONDS = 10
WRITE_SECONDS = 0.5
HEARTBEAT_SECONDS = 3


def say(sentence: str) -> None:
    """One sentence on stderr, above a bar that is being drawn there."""
    tqdm.write(f"loupe: {sentence}", file=sys.stderr)


class TerminalSink:
    """A bar with speed and ETA where stderr is a terminal; elsewhere a line at the start, the end and every 10 s."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._bar: tqdm | None = None
        self._step: Step | None = None
        self._said = 0.0

    def update(self, step: Step) -> None:
        if sys.stderr.isatty():
            self._draw(step)
        elif step.status != "running" or time.monotonic() - self._said > LINE_SECONDS:
            self._said = time.monotonic()
            print(f"{self._prefix}{describe(step)}", file=sys.stderr, flush=True)

    def _draw(self, step: Step) -> None:
        if self._bar is None or self._step is not step:
            self._step = step
            self._bar = tqdm(
                total=step.total, desc=f"{self._prefix}{step.title}", unit=f" {step.unit}", unit_scale=True
            )
        self._bar.set_postfix_str(step.note, refresh=False)
        self._bar.update(step.done - self._bar.n)
        if step.status != "running":
            self._bar.close()
            self._bar = None


def describe(step: Step) -> str:
    """One line: title, done of total, remaining time, newest figure."""
    left = step.eta_seconds
    parts = [f"{step.title}: {step.done:,} of {step.total:,} {step.unit}"]
    if step.status != "running":
        parts.append(f"{step.status} in {time.monotonic() - step.started:.1f} s")
    elif left is not None:
        parts.append(f"about {left:.0f} s left")
    return ", ".join([*parts, step.note] if step.note else parts)


class JobSink:
    """Writes one planned job: at most twice a second, and a heartbeat while a single unit takes long."""

    def __init__(self, catalog: Catalog, job_id: str, title: str, position: int) -> None:
        self._catalog, self._job = catalog, (job_id, title, position)
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._written = 0.0
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, daemon=True)
        self._beat.start()

    def update(self, step: Step) -> None:
        with self._lock:
            self._step = step
            if time.monotonic() - self._written >= WRITE_SECONDS:
                self._put("running", step)

    def _put(self, status: str, step: Step | None, note: str | None = None) -> None:
        self._written = time.monotonic()
        said = note if note is not None else step.note if step else ""
        if step is None:
            put_job(self._catalog, *self._job, status, note=said)
        else:
            put_job(self._catalog, *self._job, status, step.done, step.total, step.unit, said, skipped=step.skipped)

    def _keep_alive(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with self._lock:
                if not self._stop.is_set() and time.monotonic() - self._written >= HEARTBEAT_SECONDS:
                    self._put("running", self._step)

    def start(self) -> None:
        """The job is taken up."""
        with self._lock:
            self._put("running", None)

    def close(self, status: str, note: str | None = None) -> None:
        """The job is over: done, failed or stopped, with a last note."""
        self._stop.set()
        with self._lock:
            self._put(status, self._step, note)

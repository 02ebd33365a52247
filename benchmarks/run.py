"""Every benchmark, each in a process of its own; the demo's workspace serves the page benchmark."""

import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace = str(Path(temporary) / "demo")
        for words in (
            ["demo", "--keep", workspace],
            ["site", "--workspace", workspace],
            ["first_visit", "--workspace", workspace],
            ["loading"],
            ["train_step"],
        ):
            print(f"--- {words[0]}", flush=True)
            subprocess.run([sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:]], check=True)


if __name__ == "__main__":
    main()

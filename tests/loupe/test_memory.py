"""A server's threads share their memory: the C library counts what it set apart for them."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = """
import ctypes, sys, threading
from loupe.memory import ask_sparingly
if sys.argv[2] == "sparingly":
    ask_sparingly()
import pyarrow
gate = threading.Barrier(12)
def work():
    gate.wait()
    kept = [bytearray(5000 + number) for number in range(200)]
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
@pytest.mark.parametrize(("how", "is_sparing"), [("sparingly", True), ("as it comes", False)])
def test_threads_share_two_arenas_and_arrow_uses_them_too(tmp_path: Path, how: str, is_sparing: bool) -> None:
    command = [sys.executable, "-c", COUNT, str(tmp_path / "info.xml"), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    arenas = (tmp_path / "info.xml").read_text().count("<heap nr=")
    assert ((done.stdout.strip() == "system"), (arenas <= 2)) == (is_sparing, is_sparing)

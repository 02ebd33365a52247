"""How a server's processes ask the system for memory: so that what one request needed is there for the next, whoever runs it."""

import ctypes
from contextlib import suppress

import pyarrow

M_ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2


def ask_sparingly() -> None:
    """Let all threads share two of glibc's arenas, and Arrow use them too; to be called before there are threads.

    Otherwise each thread keeps what it freed in an arena of its own, and Arrow in a pool beside them: on the demo that is more
    than half of what a worker has for itself.
    """
    with suppress(AttributeError):  # another C library, which has no arenas
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())

"""Memory of the web process: given back when answers are over, not kept for each thread.

The C library keeps a store of free memory for each of many threads, and gives back only what is
free at a store's end: after fifty slow readers the process held 460 MB for good. Having it give
back every large block at once would cost a ZIP a third of its speed; so we look now and then.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_ARENA_MAX = -8  # number of this setting in <malloc.h>
_STORES = 2  # one thread has the interpreter at a time
EVERY_S = 10.0
WORTH_BYTES = 32 << 20
_HARDLY_ANYTHING_BYTES = 4 << 20


def keep_little_memory(every_s: float = EVERY_S) -> bool:
    """To be called before there are threads. False where the C library does not know of it."""
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("mallopt", "malloc_trim", "mallinfo2")):
        return False
    library.mallopt(_ARENA_MAX, _STORES)
    library.mallinfo2.restype = _Figures
    trimmer = Trimmer(lambda: _unused_bytes(library), lambda: library.malloc_trim(0))
    threading.Thread(target=_look, args=(trimmer, every_s), name="trim", daemon=True).start()
    return True


class Trimmer:
    """Gives free memory back, but only when it became more: a look is cheap, giving back is not.

    Args:
        unused: bytes that the process has and that are not in use, as far as can be told: modules
            and small objects, of which the C library does not know, are among them.
        trim: gives back what is free.
    """

    def __init__(self, unused: Callable[[], int], trim: Callable[[], object]) -> None:
        self._unused = unused
        self._trim = trim
        self._stays = unused()  # what no trimming frees

    def look(self) -> None:
        """Trim where it is worth it; once more next time where that freed something."""
        before = self._unused()
        if before <= self._stays + WORTH_BYTES:
            self._stays = min(self._stays, before)
            return
        self._trim()
        after = self._unused()
        if before - after < _HARDLY_ANYTHING_BYTES:
            self._stays = after


def _look(trimmer: Trimmer, every_s: float) -> None:
    while True:
        time.sleep(every_s)
        trimmer.look()


class _Figures(ctypes.Structure):
    """``struct mallinfo2`` of <malloc.h>."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _unused_bytes(library: ctypes.CDLL) -> int:
    """What is resident without what the C library has given out: an answer on its way is in use,
    and is free when it is over."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    figures = library.mallinfo2()
    return int(pages) * os.sysconf("SC_PAGE_SIZE") - figures.uordblks - figures.hblkhd

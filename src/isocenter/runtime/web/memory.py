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
from pathlib import Path

_ARENA_MAX = -8  # number of this setting in <malloc.h>
_STORES = 2  # one thread has the interpreter at a time
EVERY_S = 10.0
_WORTH_BYTES = 32 << 20


def keep_little_memory(every_s: float = EVERY_S) -> bool:
    """To be called before there are threads. False where the C library does not know of it."""
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return False
    library.mallopt(_ARENA_MAX, _STORES)
    threading.Thread(target=_trim, args=(library, every_s), name="trim", daemon=True).start()
    return True


def _trim(library: ctypes.CDLL, every_s: float) -> None:
    """Give free memory back while the process has more than it had: some is freed only later."""
    least = _resident_bytes()
    while True:
        time.sleep(every_s)
        if _resident_bytes() > least + _WORTH_BYTES:
            library.malloc_trim(0)
        least = min(least, _resident_bytes())


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

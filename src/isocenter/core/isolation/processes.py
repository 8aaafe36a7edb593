"""Processes below a process: finding them, measuring their memory, ending them (Linux, procfs).

Imports nothing but the standard library's small modules: the guard of each child loads it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGESIZE")


def die_with_parent(parent_pid: int, signum: int) -> None:
    """Have the kernel send ``signum`` to this process when the thread that started it ends.

    Raises:
        ProcessLookupError: the parent is gone already, so that no signal would ever come.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent_pid:
        raise ProcessLookupError(f"process {parent_pid} is not the parent any more")


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process, so that none can get away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def descendants(pid: int) -> list[int]:
    """Process ids of all children, their children, and so on; zombies included."""
    found: list[int] = []
    queue = [pid]
    while queue:
        for child in _children(queue.pop()):
            found.append(child)
            queue.append(child)
    return found


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield from map(int, _read(f"/proc/{pid}/task/{thread.name}/children").split())


def in_session(session: int) -> list[int]:
    """Process ids of a session (see setsid); zombies left out."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = _read(f"/proc/{entry.name}/stat").rpartition(b")")[2].split()
            if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
                found.append(int(entry.name))
    return found


def resident_bytes(pids: list[int]) -> int:
    """Resident memory of some processes; what they share is counted for each of them."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE
    return total


def proportional_bytes(pids: list[int]) -> int:
    """Anonymous and shared memory of some processes; what they share is counted once.

    Exact but slow (the kernel walks the page tables): asked only when
    :func:`resident_bytes` says that it may matter.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    return total


def kill_below(pid: int, *, timeout_s: float) -> bool:
    """Kill every descendant of ``pid`` until none is left.

    New ones may be born while others are killed, hence the repetition. Where ``pid`` is this
    process, the dead are reaped.

    Returns:
        False where some are still there after ``timeout_s`` (uninterruptible in the kernel).
    """
    deadline = time.monotonic() + timeout_s
    while True:
        alive = [child for child in descendants(pid) if not _is_dead(child)]
        for child in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        if pid == os.getpid():
            _reap()
        if not alive:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)


def _is_dead(pid: int) -> bool:
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(handle, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(handle)

"""Starts child processes from one thread that lasts as long as the process.

The kernel's parent-death signal fires when the *thread* that started a child ends, not when the
process does. A worker's thread that came and went would take its children with it; so one thread
that never ends starts them all.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future

Start = Callable[[], "subprocess.Popen[bytes]"]


class Launcher:
    """One lasting thread and its queue of starts. Made anew after a fork."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the thread; the next start makes a new one."""
        self._lock = threading.Lock()
        self._pid = 0
        self._queue: queue.SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]]

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Run ``start`` in the lasting thread; its result, or what it raises."""
        with self._lock:
            if self._pid != os.getpid():  # first use, or in a fork, where the thread is missing
                self._queue = queue.SimpleQueue()
                threading.Thread(
                    target=_serve, args=(self._queue,), name="child-launcher", daemon=True
                ).start()
                self._pid = os.getpid()
            future: Future[subprocess.Popen[bytes]] = Future()
            self._queue.put((start, future))
        return future.result()


def _serve(
    waiting: queue.SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]],
) -> None:
    while True:
        start, future = waiting.get()
        try:
            future.set_result(start())
        except BaseException as error:  # it belongs to the caller, and this thread must go on
            future.set_exception(error)
        del start, future


LAUNCHER = Launcher()
os.register_at_fork(after_in_child=LAUNCHER.reset)  # its lock may have been held

"""What answers took is given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isocenter.runtime.web.memory import Trimmer

PROGRAM = """
import threading
import time
import psutil
from isocenter.runtime.web.memory import keep_little_memory

if not keep_little_memory(0.05):
    raise SystemExit("no mallopt")
here = psutil.Process()
ready, go = threading.Barrier(41), threading.Barrier(41)

def answer():
    # Freeing one piece is where the C library begins to keep those that come after it.
    bytearray(1 << 20)
    pieces = [b"x" * (1 << 20) for _ in range(4)]
    small = b"y" * 1000
    ready.wait()
    del pieces
    go.wait()

before = here.memory_info().rss
threads = [threading.Thread(target=answer) for _ in range(40)]
for thread in threads:
    thread.start()
ready.wait()
most = here.memory_info().rss
go.wait()
for thread in threads:
    thread.join()
deadline = time.monotonic() + 20
while here.memory_info().rss - before > 30 << 20 and time.monotonic() < deadline:
    time.sleep(0.05)
print((most - before) >> 20, (here.memory_info().rss - before) >> 20)
"""


def test_memory_of_many_threads_goes_back_to_the_system() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True
    )
    if "no mallopt" in run.stderr:
        pytest.skip("another C library")
    assert run.returncode == 0, run.stderr
    most, left = map(int, run.stdout.split())
    assert most > 100
    assert left < 30


class Process:
    """Memory of a process that a test makes up, in MB."""

    def __init__(self) -> None:
        self.lasting = 20
        self.free = 0
        self.freed_at_once = 1000
        self.trims = 0
        self.trimmer = Trimmer(lambda: (self.lasting + self.free) << 20, self.trim)

    def trim(self) -> None:
        self.trims += 1
        self.free -= min(self.free, self.freed_at_once)

    def looks(self, times: int) -> int:
        """How often that trims."""
        before = self.trims
        for _ in range(times):
            self.trimmer.look()
        return self.trims - before


def test_an_idle_process_is_trimmed_once_after_it_was_loaded() -> None:
    process = Process()
    process.lasting = 120  # the application
    assert process.looks(1) == 1
    assert process.looks(100) == 0


def test_after_a_large_answer_it_is_trimmed_until_that_frees_nothing_more() -> None:
    process = Process()
    process.lasting = 120
    process.looks(5)
    process.free, process.freed_at_once = 400, 100
    assert process.looks(100) == 4
    assert process.free == 0


def test_what_does_not_come_back_counts_as_lasting_until_it_does() -> None:
    process = Process()
    process.free, process.freed_at_once = 100, 0
    assert process.looks(100) == 1
    process.freed_at_once = 1000
    process.free += 40
    assert process.looks(100) == 1
    process.free = 50
    assert process.looks(100) == 1

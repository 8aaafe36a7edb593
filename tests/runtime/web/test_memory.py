"""What answers took is given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

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

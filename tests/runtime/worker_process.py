"""A worker process that knows one more task; started by test_worker.py.

Arguments: data directory. The task writes who works on it and when, and waits for a file.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from isocenter.runtime.boot import boot_with, load_settings, wait_for_database

settings = load_settings(data_dir=Path(sys.argv[1]))
boot_with(settings, wait_for_database(settings))

from isocenter.runtime.queue import RUNS, app  # noqa: E402 (Django first)
from isocenter.runtime.worker import run_worker  # noqa: E402


@app.task(queue=RUNS, name="tests.work")
def work(notes: str, until: str, seconds: float = 0) -> None:
    """Note the start; wait for a file, or for some time; note the end."""
    from django.db import connection

    def note(what: str) -> None:
        with connection.cursor() as cursor, Path(notes).open("a") as stream:
            cursor.execute("select 1")  # the ORM's connection works in a job's thread
            stream.write(f"{what} {os.getpid()}\n")

    note("start")
    deadline = time.monotonic() + seconds
    while not Path(until).exists() and (not seconds or time.monotonic() < deadline):
        time.sleep(0.05)
    note("end")


sys.exit(run_worker(settings))

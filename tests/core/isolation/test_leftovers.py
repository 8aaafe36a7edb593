"""Nothing that a child starts outlives it, whoever dies and however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from isocenter.core.errors import ChildDied
from isocenter.core.isolation import Limits, run_isolated
from isocenter.core.isolation.launcher import Launcher
from isocenter.core.isolation.processes import descendants

LIMITS = Limits(memory_bytes=1 << 30, timeout_s=60)
PARENT = textwrap.dedent("""
    import sys, threading
    from pathlib import Path
    from isocenter.core.isolation import Limits, run_isolated

    def run():
        run_isolated("child_work:family", {"stay": True}, work_dir=Path(sys.argv[1]),
                     limits=Limits(1 << 30, 60))

    threading.Thread(target=run).start()
""")
FORKED_PARENT = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from isocenter.core.isolation import Limits, run_isolated

    def run():
        run_isolated("child_work:echo", {}, work_dir=Path(sys.argv[1]), limits=Limits(1 << 30, 60))

    run()
    pid = os.fork()
    run()
    if pid:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""")


def wait_for_family(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.pid"))) < 4:
        assert time.monotonic() < deadline, "the family never began"
        time.sleep(0.02)


def test_grandchildren_end_with_the_work(
    tmp_path: Path, survivors: Callable[[], list[int]]
) -> None:
    run_isolated("child_work:family", {}, work_dir=tmp_path, limits=LIMITS)

    assert len(list(tmp_path.glob("*.pid"))) == 4
    assert survivors() == []


def test_a_killed_parent_takes_everything_with_it(
    tmp_path: Path, survivors: Callable[[], list[int]]
) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        wait_for_family(tmp_path)
        parent.kill()
        parent.wait(30)

    assert survivors() == []


def test_an_interrupted_parent_too(tmp_path: Path, survivors: Callable[[], list[int]]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stderr=subprocess.DEVNULL
    ) as parent:
        wait_for_family(tmp_path)
        parent.send_signal(signal.SIGTERM)
        parent.wait(30)

    assert survivors() == []


def test_a_killed_guard_leaves_nobody_in_its_session(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))

    def kill_guard() -> None:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.pid")) and time.monotonic() < deadline:
            time.sleep(0.02)
        worker = int(next(tmp_path.glob("*.pid")).stem)
        guards = [pid for pid in set(descendants(os.getpid())) - before if pid != worker]
        os.kill(guards[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_guard)
    killer.start()
    with pytest.raises(ChildDied, match="from outside"):
        run_isolated("child_work:sleep", {}, work_dir=tmp_path, limits=LIMITS)
    killer.join()

    worker = int(next(tmp_path.glob("*.pid")).stem)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}").exists()


def test_the_end_of_the_thread_that_asked_does_not_end_the_child() -> None:
    """The parent-death signal fires when the starting thread ends: it must be a lasting one."""
    launcher = Launcher()
    started: list[subprocess.Popen[bytes]] = []
    code = "import ctypes, time; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); print(1, flush=True)"

    def start() -> None:
        command = [sys.executable, "-c", f"{code}; time.sleep(600)"]
        started.append(launcher.start(lambda: subprocess.Popen(command, stdout=subprocess.PIPE)))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    with started[0] as child:
        assert child.stdout is not None
        child.stdout.readline()  # from here on it would die with its thread
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        child.kill()


def test_what_cannot_be_started_is_the_asker_s_error() -> None:
    launcher = Launcher()

    with pytest.raises(FileNotFoundError):
        launcher.start(lambda: subprocess.Popen(["/no/such/program"]))

    launcher.start(lambda: subprocess.Popen(["true"])).wait()


def test_a_fork_of_the_parent_gets_its_own_launcher(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_PARENT, str(tmp_path)],
        timeout=60,
        check=False,
    )

    assert done.returncode == 0

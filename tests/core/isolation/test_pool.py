"""A pool of warm processes: answers, limits, and who takes the place of the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isocenter.core.errors import (
    ChildBusy,
    ChildDied,
    ChildError,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
)
from isocenter.core.isolation import Limits
from isocenter.core.isolation.pool import ChildPool
from isocenter.core.isolation.processes import descendants

from .conftest import is_alive

LIMITS = Limits(memory_bytes=256 << 20, timeout_s=60)
PARENT = textwrap.dedent("""
    import sys, threading
    from pathlib import Path
    from isocenter.core.isolation import Limits
    from isocenter.core.isolation.pool import ChildPool

    pool = ChildPool(1, Limits(1 << 30, 600))

    def run():
        pool.call("pool_work:hang", {"mark": sys.argv[1]})

    threading.Thread(target=run).start()
""")


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    made = ChildPool(2, LIMITS, preload=["colorsys"])
    yield made
    made.close()


def wait_for(mark: Path) -> int:
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline, "the child never began"
        time.sleep(0.01)
    return int(mark.read_text())


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_an_answer_has_an_object_and_bytes(pool: ChildPool) -> None:
    answer = pool.call("pool_work:echo", {"size": 5_000_000, "name": "Jürgen"})
    assert answer.result["got"] == {"size": 5_000_000, "name": "Jürgen"}
    assert answer.data == bytes(5_000_000)


def test_the_same_process_answers_again(pool: ChildPool) -> None:
    pids = {pool.call("pool_work:echo", {}).result["pid"] for _ in range(20)}
    assert len(pids) == 1


def test_modules_are_loaded_before_and_secrets_are_not_inherited(
    monkeypatch: pytest.MonkeyPatch, pool: ChildPool
) -> None:
    monkeypatch.setenv("ISOCENTER_DATABASE_URL", "postgresql://secret")
    answer = pool.call("pool_work:preloaded", {}).result
    assert answer["is_loaded"]
    assert "ISOCENTER_DATABASE_URL" not in answer["names"]


def test_our_own_error_keeps_its_sentence(pool: ChildPool) -> None:
    with pytest.raises(ChildFailed, match="a frame of no rows") as caught:
        pool.call("pool_work:refuse", {})
    assert caught.value.kind == "PixelError"


def test_what_others_raise_names_nobody(pool: ChildPool) -> None:
    with pytest.raises(ChildFailed) as caught:
        pool.call("pool_work:fail", {})
    assert "Doe" not in str(caught.value)
    assert pool.call("pool_work:echo", {}).result["got"] == {}


def test_one_that_crashes_is_replaced(pool: ChildPool) -> None:
    with pytest.raises(ChildDied, match="SIGSEGV"):
        pool.call("pool_work:crash", {})
    with pytest.raises(ChildDied, match="exit code 3"):
        pool.call("pool_work:vanish", {})
    assert pool.call("pool_work:echo", {}).result["got"] == {}


def test_one_that_takes_too_long_is_killed(pool: ChildPool, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(ChildTimeout):
        pool.call("pool_work:hang", {"mark": str(mark)}, timeout_s=1)
    assert time.monotonic() - began < 20
    assert is_gone(int(mark.read_text()))
    assert pool.call("pool_work:echo", {}).result["got"] == {}


@pytest.mark.parametrize("how", ["eat", "eat_at_once"])
def test_one_that_eats_memory_is_ended(pool: ChildPool, how: str) -> None:
    with pytest.raises(ChildMemoryExceeded):
        pool.call(f"pool_work:{how}", {})
    assert pool.call("pool_work:echo", {}).result["got"] == {}


def test_one_that_was_killed_while_it_waited_is_replaced(pool: ChildPool) -> None:
    pid = pool.call("pool_work:echo", {}).result["pid"]
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    assert pool.call("pool_work:echo", {}).result["pid"] != pid


def test_the_nursery_itself_is_replaced(pool: ChildPool) -> None:
    worker = pool.call("pool_work:echo", {}).result["pid"]
    nursery = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(nursery, signal.SIGKILL)
    assert is_gone(worker)
    assert pool.call("pool_work:echo", {}).result["pid"] != worker


def test_processes_are_replaced_after_some_calls() -> None:
    pool = ChildPool(1, LIMITS, recycle_after=3)
    try:
        pids = [pool.call("pool_work:echo", {}).result["pid"] for _ in range(7)]
    finally:
        pool.close()
    assert len(set(pids)) == 3
    assert is_gone(pids[0])


def test_one_that_grew_is_replaced() -> None:
    pool = ChildPool(1, LIMITS, keep_bytes=64 << 20)
    try:
        first = pool.call("pool_work:grow", {"bytes": 100 << 20}).result["pid"]
        assert pool.call("pool_work:grow", {"bytes": 1}).result["pid"] != first
    finally:
        pool.close()


def test_threads_have_processes_of_their_own_and_wait_their_turn(pool: ChildPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda n: pool.call("pool_work:echo", {"n": n, "size": n}), range(200))
        )
    assert [answer.result["got"]["n"] for answer in answers] == list(range(200))
    assert [len(answer.data) for answer in answers] == list(range(200))
    assert len({answer.result["pid"] for answer in answers}) <= 2


def test_who_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    pool = ChildPool(1, LIMITS, wait_s=0.2)
    mark = tmp_path / "pid"
    thread = threading.Thread(target=lambda: _swallow(pool, mark))
    thread.start()
    try:
        pid = wait_for(mark)
        with pytest.raises(ChildBusy):
            pool.call("pool_work:echo", {})
        os.kill(pid, signal.SIGKILL)
    finally:
        thread.join()
        pool.close()


def _swallow(pool: ChildPool, mark: Path) -> None:
    with pytest.raises(ChildError):
        pool.call("pool_work:hang", {"mark": str(mark)})


def test_nothing_is_left_when_a_pool_is_closed() -> None:
    before = set(descendants(os.getpid()))
    pool = ChildPool(2, LIMITS)
    pid = pool.call("pool_work:echo", {}).result["pid"]
    pool.close()
    assert is_gone(pid)
    assert not [pid for pid in descendants(os.getpid()) if pid not in before and is_alive(pid)]
    assert pool.call("pool_work:echo", {}).result["pid"] != pid  # it begins anew
    pool.close()


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(mark)])
    pid = wait_for(mark)
    below = descendants(parent.pid)
    assert pid in below
    parent.kill()
    parent.wait()
    assert all(is_gone(one) for one in below)


def test_a_forked_process_has_a_pool_of_its_own(pool: ChildPool) -> None:
    pool.call("pool_work:echo", {})
    script = textwrap.dedent("""
        import os, sys
        from isocenter.core.isolation import Limits
        from isocenter.core.isolation.pool import ChildPool
        pool = ChildPool(1, Limits(1 << 30, 60))
        first = pool.call("pool_work:echo", {}).result["pid"]
        child = os.fork()
        own = pool.call("pool_work:echo", {}).result["pid"]
        if child == 0:
            pool.close()
            os._exit(0 if own != first else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        pool.close()
        sys.exit(code if own == first else 2)
    """)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=60, check=False)
    assert done.returncode == 0

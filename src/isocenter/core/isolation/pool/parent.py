"""The parent's side of the pool: whom to ask, how long to wait, whom to replace."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from isocenter.core.errors import (
    ChildBusy,
    ChildDied,
    ChildFailed,
    ChildTimeout,
    ConfigurationError,
)
from isocenter.core.isolation import processes
from isocenter.core.isolation.launcher import LAUNCHER
from isocenter.core.isolation.limits import Limits
from isocenter.core.isolation.pool import wire
from isocenter.core.isolation.run import SECRETS, as_dict, failure_of, memory_exceeded, signal_name

_SAMPLE_MS = 50
_START_S = 60.0
_CONTROL_S = 15.0
#: Threads of linear algebra would be lost in the fork, and fight for the processors.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Answer(NamedTuple):
    """What a function in a child gave: a JSON object, and bytes."""

    result: dict[str, Any]
    data: bytearray


class _Worker:
    """A warm process and the socket to it."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection
        self.calls = 0
        connection.setblocking(False)

    def is_quiet(self) -> bool:
        """Whether it waits for a call; one that died has closed its socket."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN | select.POLLHUP)
        return not poll.poll(0)


class ChildPool:
    """Warm processes that call functions of modules; begun at the first call.

    Threads may call at the same time; each call has a process of its own. All processes end with
    this one, however it ends, and with :meth:`close`.

    Args:
        size: processes at most.
        limits: of a call: memory of its process, time from its start to its end.
        recycle_after: calls after which a process is replaced, so that what leaks does not grow.
        preload: modules imported before the workers are forked; must start no threads.
        wait_s: how long a call waits for a free process.
        keep_bytes: resident memory above which a process is replaced after its call.
    """

    def __init__(
        self,
        size: int,
        limits: Limits,
        *,
        recycle_after: int = 1000,
        preload: Sequence[str] = (),
        wait_s: float = 30.0,
        keep_bytes: int = 512 << 20,
    ) -> None:
        if size < 1 or recycle_after < 1 or wait_s < 0:
            raise ConfigurationError("a pool has at least one process, which takes a call")
        self._size = size
        self._limits = limits
        self._recycle_after = recycle_after
        self._preload = tuple(preload)
        self._wait_s = wait_s
        self._keep_bytes = keep_bytes
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the processes are the parent's

    def _reset(self) -> None:
        self._free = threading.BoundedSemaphore(self._size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._nursery: _Nursery | None = None

    def call(
        self, target: str, request: Mapping[str, Any], *, timeout_s: float | None = None
    ) -> Answer:
        """Call ``package.module:function`` in a warm process.

        The function is ``def f(request: dict) -> tuple[dict, bytes]``; dicts are JSON. It should
        keep nothing that matters between calls.

        Args:
            timeout_s: for this call; None means that of the limits.

        Raises:
            ChildFailed: the function raised; has the kind, the message and the trace.
            ChildTimeout, ChildMemoryExceeded: a limit was passed; the process was killed.
            ChildDied: the process ended without an answer, for example by a segmentation fault.
            ChildBusy: no process was free in time.
        """
        if not self._free.acquire(timeout=self._wait_s):
            raise ChildBusy(
                f"all {self._size} processes are at work", hint="ask again in a few seconds"
            )
        try:
            worker = self._worker()
            return self._asked(worker, target, request, timeout_s or self._limits.timeout_s)
        finally:
            self._free.release()

    def close(self) -> None:
        """End all processes; the next call begins anew."""
        with self._lock:
            idle, self._idle = self._idle, []
            nursery, self._nursery = self._nursery, None
        for worker in idle:
            worker.connection.close()
        if nursery is not None:
            nursery.close()

    def _worker(self) -> _Worker:
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._begun()
            if worker.is_quiet():
                return worker
            self._end(worker)

    def _begun(self) -> _Worker:
        for attempt in (1, 2):
            with self._lock:
                if self._nursery is None:
                    self._nursery = _Nursery(self._preload, self._limits)
                nursery = self._nursery
            try:
                return nursery.fork()
            except OSError as error:  # somebody killed it, and with it all its workers
                self.close()
                if attempt == 2:
                    raise ChildDied("no process can be started") from error
        raise AssertionError("unreachable")

    def _asked(
        self, worker: _Worker, target: str, request: Mapping[str, Any], timeout_s: float
    ) -> Answer:
        is_sound = False
        try:
            deadline = time.monotonic() + timeout_s
            hearing = wire.Hearing(worker.connection, self._limits.memory_bytes)
            try:
                worker.connection.settimeout(timeout_s)
                wire.tell(worker.connection, {"target": target, "request": request})
                worker.connection.setblocking(False)
                self._wait(worker, hearing, target, deadline, timeout_s)
            except OSError:
                raise self._death(worker, target) from None
            is_sound = True
        finally:
            worker.calls += 1
            resident = hearing.message.get("resident_bytes", 0)
            if is_sound and worker.calls < self._recycle_after and resident <= self._keep_bytes:
                with self._lock:
                    self._idle.append(worker)
            else:
                self._end(worker)
        if "error" in hearing.message:
            raise failure_of(hearing.message["error"], target, self._limits)
        return Answer(as_dict(hearing.message.get("result"), target), hearing.data)

    def _wait(
        self,
        worker: _Worker,
        hearing: wire.Hearing,
        target: str,
        deadline: float,
        timeout_s: float,
    ) -> None:
        poll = select.poll()
        poll.register(worker.connection, select.POLLIN)
        while not hearing.more():
            left = deadline - time.monotonic()
            if left <= 0:
                raise ChildTimeout(f"{target} took longer than {timeout_s:g} s")
            if poll.poll(max(1, min(_SAMPLE_MS, int(left * 1000)))):
                continue
            if (
                processes.resident_bytes([worker.pid]) > self._limits.memory_bytes
                and processes.proportional_bytes([worker.pid]) > self._limits.memory_bytes
            ):
                raise memory_exceeded(target, self._limits, "")

    def _death(self, worker: _Worker, target: str) -> ChildDied:
        code = self._end(worker)
        if code is None:
            return ChildDied(f"the process of {target} was ended from outside")
        if code < 0:
            return ChildDied(f"{target} was ended by {signal_name(-code)}")
        return ChildDied(f"{target} ended without an answer (exit code {code})")

    def _end(self, worker: _Worker) -> int | None:
        """End a worker; its exit code where that can be known."""
        if worker.connection.fileno() < 0:
            return None
        worker.connection.close()
        with self._lock:
            nursery = self._nursery
        if nursery is None:
            return None
        try:
            return nursery.end(worker.pid)
        except OSError:
            return None


class _Nursery:
    """The process that forks the workers."""

    def __init__(self, preload: Sequence[str], limits: Limits) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            order = {
                "parent_pid": os.getpid(),
                "control_fd": theirs.fileno(),
                "preload": list(preload),
                "memory_bytes": limits.memory_bytes,
            }
            self._process = _start(order, theirs.fileno())
        self._control.settimeout(_START_S)
        try:
            if wire.hear(self._control) is None:
                raise ConnectionError("it has ended")
        except OSError as error:
            self.close()
            raise ChildFailed(
                "the processes of the pool cannot be started", kind=type(error).__name__
            ) from error
        self._control.settimeout(_CONTROL_S)

    def fork(self) -> _Worker:
        """A new worker."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                wire.tell_with_socket(self._control, {"start": True}, theirs)
                said = wire.hear(self._control)
            if said is None:
                raise ConnectionError("the nursery has ended")
        except BaseException:
            ours.close()
            raise
        return _Worker(int(said["pid"]), ours)

    def end(self, pid: int) -> int | None:
        """End a worker and reap it; its exit code, negative for a signal."""
        with self._lock:
            wire.tell(self._control, {"end": pid})
            said = wire.hear(self._control)
        return None if said is None else said["code"]

    def close(self) -> None:
        """End it and all workers."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CONTROL_S)
            return
        self._process.kill()
        self._process.wait()


def _start(order: Mapping[str, Any], descriptor: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "isocenter.core.isolation.pool.nursery", json.dumps(order)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(SECRETS)}
    return LAUNCHER.start(
        lambda: subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment | _ONE_THREAD,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    )

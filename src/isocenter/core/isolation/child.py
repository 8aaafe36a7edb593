"""The child's side: ``python -m isocenter.core.isolation.child ORDER_JSON``.

Two processes. The *guard* (this program) adopts orphans, watches time and memory, and ends
everything below it when the work is done, a limit is passed, somebody asks (SIGTERM) or the
parent dies. The *worker*, its fork, imports the target and runs it. Because of the guard nothing
that the target started survives, not even what left the process group, and not even when the
parent was killed with SIGKILL.

The worker's answer goes to a file; progress and the guard's verdict go as JSON lines to a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from isocenter.core.isolation import processes

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_SAMPLE_S = 0.05
_KILL_S = 5.0
_DATA_SLACK = 1 << 30  # address space that libraries reserve and never touch
_MAX_MESSAGE = 500  # characters of progress; a line stays below PIPE_BUF, so it is atomic
_MIN_PROGRESS_GAP_S = 0.1


def main() -> NoReturn:
    """Be the guard."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    # Blocked before the fork, so that no signal is lost between two waits; default actions,
    # because what the parent ignores is inherited and an ignored SIGCHLD loses exit statuses.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD, *_STOP_SIGNALS})
    for signum in (signal.SIGCHLD, *_STOP_SIGNALS):
        signal.signal(signum, signal.SIG_DFL)
    processes.adopt_orphans()
    try:
        processes.die_with_parent(order["parent_pid"], signal.SIGTERM)
    except ProcessLookupError:
        os._exit(1)
    guard_pid = os.getpid()
    worker = os.fork()
    if worker == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _be_worker(order, guard_pid)
    if order["private_fd"] is not None:
        os.close(order["private_fd"])  # the worker alone listens
    verdict = _watch(worker, order)
    all_dead = processes.kill_below(guard_pid, timeout_s=_KILL_S)
    _tell(order["messages_fd"], {"verdict": verdict, "all_dead": all_dead})
    os._exit(0)


def _watch(worker: int, order: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for the worker's end or a reason to end it."""
    deadline = time.monotonic() + order["timeout_s"]
    guard_pid = os.getpid()
    peak = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return {"how": "timeout", "peak_bytes": peak}
        arrived = signal.sigtimedwait(
            {signal.SIGCHLD, *_STOP_SIGNALS}, max(0.0, min(_SAMPLE_S, left))
        )
        if arrived is not None and arrived.si_signo in _STOP_SIGNALS:
            return {"how": "stopped", "peak_bytes": peak}
        status = _reap_until(worker)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            return {"how": "ended", "code": code, "peak_bytes": peak}
        pids = processes.descendants(guard_pid)
        used = processes.resident_bytes(pids)
        if used > order["memory_bytes"]:
            used = processes.proportional_bytes(pids)
        peak = max(peak, used)
        if used > order["memory_bytes"]:
            return {"how": "memory", "peak_bytes": peak}


def _reap_until(worker: int) -> int | None:
    """Reap whoever is dead; the worker's wait status if it was among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == worker:
            return status
        if pid == 0:
            return None


def _be_worker(order: Mapping[str, Any], guard_pid: int) -> NoReturn:
    """Run the target; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        processes.die_with_parent(guard_pid, signal.SIGKILL)
        limit_resources(order["memory_bytes"])
        answer = _run_target(order)
        _write_answer(order["answer_path"], answer)
        code = 0
    except ProcessLookupError:
        pass  # orphaned before it began
    finally:
        _flush()
        os._exit(code)


def limit_resources(memory_bytes: int) -> None:
    """Bound this process's memory, forbid core files, and let it go first where memory ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patients' images
    # One huge allocation fails at once and cleanly; the sum over processes is for the guard.
    wanted = memory_bytes + _DATA_SLACK
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))
    # Where the machine itself runs out of memory, this process goes before the receiver.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("600")


def _run_target(order: Mapping[str, Any]) -> dict[str, Any]:
    """Import and call ``module:function``; the answer or the error as a JSON-able dict."""
    try:
        import importlib

        module_name, _, function_name = order["target"].partition(":")
        function = getattr(importlib.import_module(module_name), function_name)
        request = json.loads(Path(order["request_path"]).read_bytes())
        private = () if order["private_fd"] is None else (_heard(order["private_fd"]),)
        result = function(request, _ProgressPipe(order["messages_fd"]), *private)
        return {"result": json.dumps(result)}
    except BaseException as error:  # whatever it was, the parent has to hear of it
        return describe(error)


def _heard(fd: int) -> bytes:
    """All that the parent says through a pipe; what is started from here cannot hear it again."""
    with os.fdopen(fd, "rb") as pipe:
        return pipe.read()


def describe(error: BaseException) -> dict[str, Any]:
    """An error as the parent is told of it: kind, message that names no patient, trace."""
    import traceback

    from isocenter.core.errors import IsocenterError

    kind = type(error).__name__
    if isinstance(error, IsocenterError):
        message = str(error)
    elif isinstance(error, SystemExit):
        message = f"the function called exit({error.code!r})"
    else:
        # Only our own errors promise to name no patient; the rest is in the trace.
        message = f"unexpected {kind}; see the trace"
    trace = "".join(traceback.format_exception(error))[-20_000:]
    return {"error": {"kind": kind, "message": message, "trace": trace}}


def _write_answer(path: str, answer: Mapping[str, Any]) -> None:
    part = Path(f"{path}.part")
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(path)


class _ProgressPipe:
    """Progress as JSON lines, not more often than ten times a second; what it is at, to the log."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._last = -_MIN_PROGRESS_GAP_S
        self._began = time.monotonic()
        self._said = ""

    def __call__(self, fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if fraction < 1 and now - self._last < _MIN_PROGRESS_GAP_S:
            return
        self._last = now
        bounded = min(1.0, max(0.0, float(fraction)))
        if message != self._said:  # the log tells what was done when, not every per cent
            self._said = message
            print(f"{now - self._began:8.1f} s  {bounded:4.0%}  {message}", flush=True)
        _tell(self._fd, {"progress": [bounded, str(message)[:_MAX_MESSAGE]]})


def _tell(fd: int, message: Mapping[str, Any]) -> None:
    try:
        line = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
        os.write(fd, line + b"\n")
    except BrokenPipeError:
        pass  # the parent is gone; so are we, soon


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


if __name__ == "__main__":
    main()

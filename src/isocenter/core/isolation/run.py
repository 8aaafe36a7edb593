"""The parent's side: start a child, watch it, bring back its answer or its error."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isocenter.core.errors import (
    ChildCancelled,
    ChildDied,
    ChildError,
    ChildFailed,
    ChildMemoryExceeded,
    ChildTimeout,
)
from isocenter.core.isolation import processes
from isocenter.core.isolation.launcher import LAUNCHER
from isocenter.core.isolation.limits import Limits, Progress
from isocenter.core.isolation.step_log import StepLog

_POLL_S = 0.1
_GUARD_GRACE_S = 0.6  # from asking the guard to doing its work ourselves
_TIMEOUT_SLACK_S = 10.0  # the guard keeps the time; this is for a guard that does not
_CHUNK = 1 << 16
SECRETS = ("ISOCENTER_", "PG", "DJANGO_")


def run_isolated(
    target: str,
    request: Mapping[str, Any],
    *,
    work_dir: Path,
    limits: Limits,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    private: bytes | None = None,
) -> dict[str, Any]:
    """Run a function in a child process that can be killed, and return what it returns.

    The function is ``def run(request: dict, progress: Progress) -> dict``; both dicts are JSON.
    With ``private`` it is called as ``run(request, progress, private)``. Its process and all that
    it starts are gone when this returns or raises, and also when this process is killed. Several
    may run at once, each with a ``work_dir`` of its own.

    Args:
        target: ``package.module:function``.
        request: passed to the function.
        work_dir: current directory of the child; ``step.log`` there gets what it prints.
        limits: memory and time of the child and everything below it.
        on_progress: called here, in this thread, with what the function says of its progress.
        cancelled: asked ten times a second; True ends the child within a second.
        private: what must never be in a file, such as a secret: it goes through a pipe that is
            read once, before the function is called, and is in no request, log or environment.

    Raises:
        ChildFailed: the function raised; has the kind, the message and the trace.
        ChildTimeout, ChildMemoryExceeded: a limit was passed.
        ChildCancelled: ``cancelled`` said so.
        ChildDied: the child ended with no answer, for example by a segmentation fault.
    """
    work_dir = work_dir.absolute()
    with (
        tempfile.TemporaryDirectory(prefix=".isolated-", dir=work_dir) as exchange,
        StepLog(work_dir / "step.log", limits.log_bytes) as log,
    ):
        request_path = Path(exchange, "request.json")
        answer_path = Path(exchange, "answer.json")
        request_path.write_text(json.dumps(request), encoding="utf-8")
        paths = {"request_path": request_path, "answer_path": answer_path, "work_dir": work_dir}
        child = _Child(target, **paths, limits=limits, log=log, private=private)
        try:
            verdict = child.watch(on_progress, cancelled)
        finally:
            child.close()
        return _judge(verdict, answer_path, target, limits)


class _Child:
    """A guard with its worker, the two pipes that lead here, and one that leads there."""

    def __init__(
        self,
        target: str,
        *,
        request_path: Path,
        answer_path: Path,
        work_dir: Path,
        limits: Limits,
        log: StepLog,
        private: bytes | None,
    ) -> None:
        self._limits = limits
        self._log = log
        self._messages, messages_out = os.pipe()
        self._printed, printed_out = os.pipe()
        self._whisper = _Whisper(private) if private is not None else None
        os.set_blocking(self._messages, False)
        os.set_blocking(self._printed, False)
        theirs = [messages_out, *([self._whisper.theirs] if self._whisper else ())]
        order = {
            "target": target,
            "request_path": str(request_path),
            "answer_path": str(answer_path),
            "messages_fd": messages_out,
            "private_fd": self._whisper.theirs if self._whisper else None,
            "parent_pid": os.getpid(),
            "memory_bytes": limits.memory_bytes,
            "timeout_s": limits.timeout_s,
        }
        try:
            self._guard = _start(order, printed_out, theirs, work_dir)
        except BaseException:
            os.close(self._messages)
            os.close(self._printed)
            if self._whisper is not None:
                self._whisper.close()
            raise
        finally:
            for fd in (*theirs, printed_out):
                os.close(fd)
        self._pending = b""
        self._verdict: dict[str, Any] = {}

    def watch(
        self, on_progress: Progress | None, cancelled: Callable[[], bool] | None
    ) -> dict[str, Any]:
        """Until the child is gone; returns the guard's verdict, empty where it gave none."""
        deadline = time.monotonic() + self._limits.timeout_s + _TIMEOUT_SLACK_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._messages, selectors.EVENT_READ)
            selector.register(self._printed, selectors.EVENT_READ)
            if self._whisper is not None:
                selector.register(self._whisper.ours, selectors.EVENT_WRITE)
            while self._guard.poll() is None:
                for key, _ in selector.select(_POLL_S):
                    if self._whisper is not None and key.fd == self._whisper.ours:
                        if not self._whisper.say():
                            selector.unregister(key.fd)
                            self._whisper.close()
                    elif not self._drain(key.fd, on_progress):
                        selector.unregister(key.fd)
                if not selector.get_map():  # both ends are closed: only the exit is missing
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._guard.wait(_POLL_S)
                if cancelled is not None and cancelled():
                    self._end()
                    return {"how": "cancelled"}
                if time.monotonic() > deadline:
                    self._end()
                    return {"how": "timeout"}
        for fd in (self._messages, self._printed):
            self._drain(fd, on_progress)
        return self._verdict

    def _drain(self, fd: int, on_progress: Progress | None) -> bool:
        """Take what is in a pipe, a bounded amount at a time; False at its end."""
        for _ in range(16):
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            if fd == self._printed:
                self._log.write(data)
            else:
                self._hear(data, on_progress)
        return True

    def _hear(self, data: bytes, on_progress: Progress | None) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "verdict" in message:
                self._verdict = message["verdict"] | {"all_dead": message["all_dead"]}
            elif on_progress is not None:
                on_progress(*message["progress"])

    def _end(self) -> None:
        """Ask the guard to end everything; do it ourselves where it does not."""
        if self._guard.poll() is None:
            self._guard.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(_GUARD_GRACE_S)
        if self._guard.poll() is None:
            processes.kill_below(self._guard.pid, timeout_s=_GUARD_GRACE_S)
            self._guard.kill()
            self._guard.wait()

    def close(self) -> None:
        """End what is left, take the last words, close the pipes."""
        self._end()
        if "how" not in self._verdict:  # the guard was killed: whom it had is in its session
            for pid in processes.in_session(self._guard.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._drain(self._printed, None)
        os.close(self._messages)
        os.close(self._printed)
        if self._whisper is not None:
            self._whisper.close()


def _start(
    order: Mapping[str, Any], printed_out: int, theirs: Sequence[int], work_dir: Path
) -> subprocess.Popen[bytes]:
    """The guard, which inherits these pipes and nothing else that is secret."""
    command = [sys.executable, "-m", "isocenter.core.isolation.child", json.dumps(order)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(SECRETS)}
    environment["PYTHONUNBUFFERED"] = "1"
    return LAUNCHER.start(
        lambda: subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed_out,
            stderr=printed_out,
            cwd=work_dir,
            env=environment,
            pass_fds=theirs,
            start_new_session=True,
        )
    )


class _Whisper:
    """A pipe into the child for what must not be in a file.

    Attributes:
        ours: the end that is written to; -1 once it is closed.
        theirs: the end that the child inherits; whoever starts it closes it here.
    """

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)
        self.theirs, self.ours = os.pipe()
        os.set_blocking(self.ours, False)

    def say(self) -> bool:
        """Write what the pipe takes; False when all is said, or nobody listens."""
        try:
            self._left = self._left[os.write(self.ours, self._left[:_CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._left)

    def close(self) -> None:
        """Close our end: the child's reading ends."""
        if self.ours >= 0:
            os.close(self.ours)
            self.ours = -1


def _judge(
    verdict: Mapping[str, Any], answer_path: Path, target: str, limits: Limits
) -> dict[str, Any]:
    """The answer, or the error that tells why there is none."""
    how = verdict.get("how")
    if how == "cancelled":
        raise ChildCancelled(f"{target} was cancelled")
    if how == "timeout":
        raise ChildTimeout(f"{target} took longer than {limits.timeout_s:g} s")
    if how == "memory":
        raise memory_exceeded(target, limits, "")
    if how == "ended" and verdict["code"] == 0 and answer_path.exists():
        answer = json.loads(answer_path.read_bytes())
        if "error" in answer:
            raise failure_of(answer["error"], target, limits)
        return as_dict(json.loads(answer["result"]), target)
    code = verdict.get("code", 0)
    if how == "ended" and code < 0:
        raise ChildDied(f"{target} was ended by {signal_name(-code)}", hint="see step.log")
    if how == "ended":
        raise ChildDied(f"{target} ended without an answer (exit code {code})", hint="see step.log")
    raise ChildDied(f"the child process of {target} was ended from outside", hint="see step.log")


def failure_of(error: Mapping[str, str], target: str, limits: Limits) -> ChildError:
    """What the child raised, as an error of ours."""
    if error["kind"] == "MemoryError" or error["kind"].endswith("MemoryError"):
        return memory_exceeded(target, limits, error["trace"])
    return ChildFailed(error["message"], kind=error["kind"], trace=error["trace"])


def memory_exceeded(target: str, limits: Limits, trace: str) -> ChildMemoryExceeded:
    """The error of a child that held too much memory."""
    needed = f"{target} needed more than {limits.memory_bytes >> 20} MiB of memory"
    return ChildMemoryExceeded(needed, trace=trace)


def as_dict(result: object, target: str) -> dict[str, Any]:
    """What a child's function returned, if it is a dict.

    Raises:
        ChildFailed: it is none.
    """
    if not isinstance(result, dict):
        raise ChildFailed(f"{target} returned no dict", kind="TypeError")
    return result


def signal_name(number: int) -> str:
    """``SIGSEGV``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

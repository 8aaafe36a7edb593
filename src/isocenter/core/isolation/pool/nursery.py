"""The children's side: ``python -m isocenter.core.isolation.pool.nursery ORDER_JSON``.

The *nursery* has one thread, imports what the workers need, and forks a worker for each socket
that the parent hands to it. It ends when the parent ends (parent-death signal) or closes the
control socket; its workers end with it (parent-death signal again).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from isocenter.core.isolation import processes
from isocenter.core.isolation.child import describe, limit_resources
from isocenter.core.isolation.pool import wire

_END_S = 5.0


def main() -> NoReturn:
    """Be the nursery."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    for signum in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)  # what the parent ignores is inherited
    processes.adopt_orphans()
    try:
        processes.die_with_parent(order["parent_pid"], signal.SIGKILL)
    except ProcessLookupError:
        os._exit(1)
    control = socket.socket(fileno=order["control_fd"])
    for module in order["preload"]:
        importlib.import_module(module)
    wire.tell(control, {"ready": True})
    _serve(control, order)
    processes.kill_below(os.getpid(), timeout_s=_END_S)
    os._exit(0)


def _serve(control: socket.socket, order: Mapping[str, Any]) -> None:
    """Start and end workers as the parent says, until it closes the socket."""
    alive: set[int] = set()
    own_pid = os.getpid()
    while True:
        try:
            asked, handed = wire.hear_with_socket(control)
        except (ConnectionError, OSError):
            return
        if asked is None:
            return
        if handed is not None:
            pid = os.fork()
            if pid == 0:
                control.close()
                _be_worker(handed, order, own_pid)
            handed.close()
            alive.add(pid)
            wire.tell(control, {"pid": pid})
        else:
            pid = int(asked["end"])
            code = _end(pid) if pid in alive else None
            alive.discard(pid)
            wire.tell(control, {"code": code})


def _end(pid: int) -> int | None:
    """End a worker that may have ended already; its exit code, negative for a signal.

    One that has closed its socket is given a moment, so that its own code is told.
    """
    deadline = time.monotonic() + _END_S
    patience = time.monotonic() + 0.05
    is_killed = False
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found == pid:
            return os.waitstatus_to_exitcode(status)
        if not is_killed and time.monotonic() > patience:
            is_killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    return None


def _be_worker(connection: socket.socket, order: Mapping[str, Any], nursery_pid: int) -> NoReturn:
    """Answer calls until the parent closes the socket; never returns."""
    code = 1
    try:
        processes.die_with_parent(nursery_pid, signal.SIGKILL)
        limit_resources(order["memory_bytes"])
        while (call := wire.hear(connection)) is not None:
            answer, data = _answered(call)
            answer["resident_bytes"] = processes.resident_bytes([os.getpid()])
            wire.tell(connection, answer, data)
            del data
        code = 0
    except (ConnectionError, ProcessLookupError):
        pass  # the parent is gone
    finally:
        os._exit(code)


def _answered(call: Mapping[str, Any]) -> tuple[dict[str, Any], wire.Data]:
    """Call ``module:function``; its answer or the error."""
    try:
        module_name, _, function_name = call["target"].partition(":")
        function = getattr(importlib.import_module(module_name), function_name)
        result, data = function(call["request"])
        json.dumps(result)
        return {"result": result}, data
    except BaseException as error:  # whatever it was, the parent has to hear of it
        return describe(error), b""


if __name__ == "__main__":
    main()

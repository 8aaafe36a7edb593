"""What the tests have child processes do. Imported by name in the child."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from isocenter.core.errors import ContourError


def echo(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    progress(0.5, "half")
    progress(1.0, "all")
    return {"got": request, "cwd": str(Path.cwd())}


def environment(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    return {"names": sorted(os.environ)}


def hear(request: dict[str, Any], progress: Any, private: bytes) -> dict[str, Any]:
    """Says how much it heard, and where the words can be seen besides."""
    word = private[:32]
    places = [*Path.cwd().rglob("*"), Path("/proc/self/environ"), Path("/proc/self/cmdline")]
    seen = [str(place) for place in places if place.is_file() and word in place.read_bytes()]
    links = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
    pipes = sum("pipe" in link for link in links) - 2  # what is printed goes to one
    return {"length": len(private), "seen": seen, "pipes": pipes}


def deaf(request: dict[str, Any], progress: Any, private: bytes) -> dict[str, Any]:
    raise ContourError("it was told and says nothing")


def many_steps(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    for index in range(20_000):
        progress(index / 20_000, "né" * 1000)
    return {}


def refuse(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    raise ContourError("contour 3 has no points")


def fail(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    raise ValueError("Doe^John")


def leave(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    sys.exit(4)


def vanish(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    os._exit(3)


def no_json(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    return {"path": Path()}


def crash(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def shout(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    print("first words")
    line = "x" * 1023 + "\n"
    for _ in range(100):
        sys.stdout.write(line * 1024)
    print("last words", file=sys.stderr)
    return {}


def sleep(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    _note(os.getpid())
    time.sleep(request.get("seconds", 600))
    return {}


def grow(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    held = []
    for _ in range(600):
        held.append(bytearray(os.urandom(1)) * (4 << 20))
        time.sleep(0.01)
    return {"held": len(held)}


def grow_together(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    """No process alone passes the limit; all of them do."""
    for _ in range(4):
        if os.fork() == 0:
            _held = bytearray(b"x") * (100 << 20)
            time.sleep(600)
    time.sleep(600)
    return {}


def share(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Forks share what they do not write: counted for each of them it would be too much."""
    held = bytearray(b"x") * (100 << 20)
    for _ in range(4):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(1)
    return {"held": len(held)}


def allocate_at_once(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    return {"length": len(bytearray(64 << 30))}


def family(request: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Grandchildren of every kind that tries to get away, all deaf to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:  # an ordinary one
        _stay()
    if os.fork() == 0:  # its own session
        os.setsid()
        _stay()
    if os.fork() == 0:  # a daemon: orphaned, own session
        os.setsid()
        if os.fork() == 0:
            _stay()
        os._exit(0)
    _note(os.getpid())
    while len(list(Path.cwd().glob("*.pid"))) < 4:
        time.sleep(0.01)
    progress(1.0, "family complete")
    if request.get("stay"):
        _stay()
    return {}


def _stay() -> None:
    _note(os.getpid())
    while True:
        time.sleep(600)


def _note(pid: int) -> None:
    (Path.cwd() / f"{pid}.pid").touch()

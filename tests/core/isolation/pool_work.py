"""What the tests have a pool's processes do. Imported by name in the child."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

from isocenter.core.errors import PixelError

_kept: list[bytes] = []


def echo(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {"got": request, "pid": os.getpid()}, bytes(request.get("size", 0))


def preloaded(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {"is_loaded": "colorsys" in sys.modules, "names": sorted(os.environ)}, b""


def refuse(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    raise PixelError("a frame of no rows")


def fail(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    raise ValueError("Doe^John")


def crash(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    ctypes.string_at(0)
    return {}, b""


def vanish(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    os._exit(3)


def hang(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    Path(request["mark"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}, b""


def eat(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    held = []
    while True:
        held.append(b"x" * (8 << 20))
        time.sleep(0.01)


def eat_at_once(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {}, bytes(64 << 30)


def grow(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    _kept.append(b"x" * request["bytes"])
    return {"pid": os.getpid()}, b""

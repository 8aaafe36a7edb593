"""Small files under ``run/`` and ``secrets/``: replaced whole, never half written."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace ``path`` by a file with this text, atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a JSON state file atomically."""
    write_text(path, json.dumps(state, indent=2, default=str) + "\n")


def read_state(path: Path) -> dict[str, Any]:
    """The object in a state file; empty when there is no file, or none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def secret(path: Path) -> str:
    """The secret kept in this file (mode 0600); made at random when there is none."""
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    made = secrets.token_urlsafe(32)
    write_text(path, made + "\n")
    return made


def process_identity(pid: int) -> dict[str, Any]:
    """What tells this process apart from a later one with the same number."""
    return {"pid": pid, "process_started": psutil.Process(pid).create_time()}


def live_process(state: Mapping[str, Any]) -> psutil.Process | None:
    """The process that a state file names, if it is still that one and runs."""
    pid = state.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return None
    try:
        process = psutil.Process(pid)
        started = state.get("process_started")
        if started is not None and abs(process.create_time() - float(started)) > 1:
            return None
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None

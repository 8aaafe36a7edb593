"""A wake between processes: a datagram that says "look into the spool".

It carries nothing and may be lost; who listens looks every now and then anyway.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path

_NAME = "wake.sock"


def _address(folder_fd: int) -> str:
    """Address of the socket by way of the folder's descriptor: paths may be longer than 108."""
    return f"/proc/self/fd/{folder_fd}/{_NAME}"


class WakeSender:
    """Wakes whoever listens on a spool folder; never blocks, never fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(b"\x01", _address(self._folder))

    def close(self) -> None:
        self._socket.close()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


class WakeListener:
    """Sleeps until a sender wakes it or the time is over."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _NAME).unlink(missing_ok=True)
        self._path = folder / _NAME
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(_address(folder_fd))
        finally:
            os.close(folder_fd)

    def wait(self, timeout_s: float) -> bool:
        """True when somebody woke us, False when the time was over."""
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if not ready:
            return False
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(16)
        return True

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> WakeListener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""Senders that never stop: DCMTK's dcmsend with new studies, over several associations."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pydicom

from .studies import Series

_HEADER = 8192  # bytes in which all UIDs are
_MEMORY = Path("/dev/shm")


@dataclass
class _Sender:
    """One association after the other."""

    slices: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    failures: list[str] = field(default_factory=list)


class Feeding:
    """Sends copies of a series, each batch as a study of its own, until it is left.

    Args:
        port: of the receiver on loopback.
        series: its slices are sent again and again under new UIDs.
        batch: slices of one association.
    """

    def __init__(
        self, port: int, called_ae_title: str, series: Series, *, associations: int = 4,
        batch: int = 50,
    ) -> None:  # fmt: skip
        self._address = ("-aec", called_ae_title, "--max-send-pdu", "131072", "127.0.0.1")
        self._port = port
        self._slices = [path.read_bytes() for path in series.paths[:batch]]
        self._uids = [_uids_of(path) for path in series.paths[:batch]]
        self._senders = [_Sender() for _ in range(associations)]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Feeding:
        for sender in self._senders:
            thread = threading.Thread(target=self._send, args=(sender,), daemon=True)
            self._threads.append(thread)
            sender.began = time.monotonic()
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        failures = [text for sender in self._senders for text in sender.failures]
        if failures and error is None:
            raise RuntimeError(f"a sender failed: {failures[0]}")

    @property
    def per_second(self) -> float:
        """Acknowledged slices per second, all associations together; after the end."""
        return sum(one.slices / (one.ended - one.began) for one in self._senders if one.slices)

    @property
    def slices(self) -> int:
        return sum(one.slices for one in self._senders)

    def _send(self, sender: _Sender) -> None:
        place = _MEMORY if _MEMORY.is_dir() else None
        while not self._stop.is_set():
            folder = Path(tempfile.mkdtemp(prefix="isocenter-feed-", dir=place))
            try:
                self._write(folder)
                done = subprocess.run(
                    [
                        *("dcmsend", "--no-uid-checks", "--scan-directories"),
                        *(*self._address, str(self._port), str(folder)),
                    ],
                    capture_output=True,
                    check=False,
                )
                if done.returncode:
                    sender.failures.append(done.stderr.decode(errors="replace")[-500:])
                    return
                sender.slices += len(self._slices)
                sender.ended = time.monotonic()
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        study, series = secrets.randbelow(10**12), secrets.randbelow(10**12)
        for number, (content, uids) in enumerate(zip(self._slices, self._uids, strict=True)):
            head = content[:_HEADER]
            for uid, fresh in zip(uids, (study, series, secrets.randbelow(10**12)), strict=True):
                head = head.replace(uid, uid[:-12] + f"{fresh:012d}".encode())
            with (folder / f"{number:04d}.dcm").open("wb") as file:
                file.write(head)
                file.write(memoryview(content)[_HEADER:])


def _uids_of(path: Path) -> tuple[bytes, bytes, bytes]:
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return (
        ds.StudyInstanceUID.encode(),
        ds.SeriesInstanceUID.encode(),
        ds.SOPInstanceUID.encode(),
    )

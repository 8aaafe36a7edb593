"""A pseudonym store in a CSV file: every pseudonym is on the disk before anybody hears of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from isocenter.core.deid.pseudonyms.files import COLUMNS, csv_row, parse_csv
from isocenter.core.deid.pseudonyms.store import MemoryStore, Pseudonym, PseudonymEntry
from isocenter.core.errors import ConfigurationError

_HEAD = ",".join(COLUMNS) + "\r\n"


class CsvStore(MemoryStore):
    """A pseudonym store that writes each new entry to the end of a file, and syncs it.

    Use it in a ``with`` block: the file is locked as long, so that two runs cannot give the same
    number to two patients. A new file can be read by its owner only.
    """

    def __init__(self, path: Path, legacy: Mapping[str, Pseudonym] | None = None) -> None:
        """Open or make the file.

        Args:
            path: of the file, with the columns that
                :func:`~isocenter.core.deid.pseudonyms.files.write_csv` writes.
            legacy: pseudonyms by another system's hash, for instance of
                :func:`~isocenter.core.deid.pseudonyms.files.read_netrt`.

        Raises:
            ConfigurationError: the file cannot be used, or another run uses it.
        """
        super().__init__()
        self._path = path
        self._file: int | None = None  # None while it is read, too
        self._closed = False
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        try:
            self._load(handle, legacy or {})
        except BaseException:
            os.close(handle)
            raise
        self._file = handle

    def add(self, entry: PseudonymEntry) -> None:
        if self._closed:
            raise ConfigurationError(f"{self._path} is closed; nothing can be added")
        self.check(entry)
        if self._file is not None and self.find(entry.key) is None:
            self._append(self._file, csv_row(entry))
        super().add(entry)

    def close(self) -> None:
        """Let the file go."""
        self._closed = True
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> CsvStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self, handle: int, legacy: Mapping[str, Pseudonym]) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"{self._path} is used by another run") from error
        for hashed, pseudonym in legacy.items():
            self.add_legacy(hashed, pseudonym)
        try:
            text = self._path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{self._path}: not in UTF-8") from error
        if not text:
            self._append(handle, _HEAD)
            self._sync_folder()
            return
        if text.splitlines()[0] != _HEAD.strip():
            raise ConfigurationError(
                f"{self._path}: line 1 is not {_HEAD.strip()}",
                hint="lines are added to this file, so it needs these columns in this order",
            )
        for entry in parse_csv(text, str(self._path)):
            super().add(entry)
        if not text.endswith("\n"):
            self._append(handle, "\r\n")

    def _append(self, handle: int, text: str) -> None:
        try:
            data = text.encode()
            while data:
                data = data[os.write(handle, data) :]
            os.fdatasync(handle)
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}") from error

    def _sync_folder(self) -> None:
        """The name of a new file must last as its content does."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

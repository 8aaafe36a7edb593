"""Watched folders: files put there are imported.

A file is taken when its size and time have not changed for ten seconds and no value in it is cut
off. It is removed once it is durable in the spool, unless it has changed meanwhile. A crash in
between imports it twice, which stores it once. A copy may stall: what is not whole is given five
minutes. What cannot be imported then goes to ``.failed/`` with its reason in a text file beside it.
Names that begin with a dot and symbolic links are left alone.
"""

from __future__ import annotations

import contextlib
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import structlog

from isocenter.apps.archive.importing import ImportReport, spool_import
from isocenter.apps.archive.spool import Spool
from isocenter.core.dicom.reading import is_cut_off
from isocenter.core.errors import DicomError, IsocenterError, SpoolError

log = structlog.get_logger(__name__)

FAILED = ".failed"
STABLE_S = 10.0
PATIENCE_S = 300.0

Look = tuple[int, int]  # size, time of the last change


class WatchedFolder:
    """One folder; keeps in mind since when each file has looked as it looks."""

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        *,
        stable_s: float = STABLE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._stable_s = stable_s
        self._patience_s = patience_s
        self._seen: dict[Path, tuple[Look, float]] = {}

    def scan(self) -> int:
        """Import what is stable; returns the number of files that were dealt with.

        Raises:
            SpoolError: the spool takes no more; the files stay.
        """
        dealt_with = 0
        for path, look, age_s in list(self._stable()):
            if age_s < self._patience_s and _is_cut_off(path):
                continue
            self._import(path, look)
            self._seen.pop(path, None)
            dealt_with += 1
        return dealt_with

    def _stable(self) -> Iterator[tuple[Path, Look, float]]:
        now = time.monotonic()
        present: dict[Path, tuple[Look, float]] = {}
        for path in self._files():
            look = _look(path)
            if look is None:
                continue
            before = self._seen.get(path)
            since = before[1] if before and before[0] == look else now
            present[path] = (look, since)
        self._seen = present
        for path, (look, since) in present.items():
            if now - since >= self._stable_s:
                yield path, look, now - since

    def _files(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self._folder):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder) / name
                if not name.startswith(".") and not path.is_symlink() and path.is_file():
                    yield path

    def _import(self, path: Path, look: Look) -> None:
        if _is_cut_off(path):
            self._fail(path, f"still cut off after {self._patience_s:g} s without a change")
            return
        try:
            report = spool_import([path], self._spool, kind="watch", address=str(self._folder))
        except SpoolError:
            raise
        except (IsocenterError, OSError) as error:
            self._fail(path, str(error))
            return
        reason = _refusal(report)
        if reason:
            self._fail(path, reason)
        elif _look(path) == look:  # else somebody still writes: it is taken again when it is still
            path.unlink(missing_ok=True)

    def _fail(self, path: Path, reason: str) -> None:
        """Put a file aside with its reason; the log gets no file name, for names can identify."""
        target = _free_name(self._folder / FAILED / path.relative_to(self._folder))
        with contextlib.suppress(FileNotFoundError):  # taken away in the meantime
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            target.with_name(f"{target.name}.txt").write_text(reason + "\n", encoding="utf-8")
            log.warning("watched_file_failed", folder=str(self._folder))


def _look(path: Path) -> Look | None:
    try:
        state = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return state.st_size, state.st_mtime_ns


def _is_cut_off(path: Path) -> bool:
    """Whether a DICOM file ends inside a value, or a ZIP before its directory."""
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        return not zipfile.is_zipfile(path) if is_zip else is_cut_off(path)
    except (DicomError, OSError):
        return False  # not ours to judge: the import says what is wrong with it


def _refusal(report: ImportReport) -> str:
    """Why a file was not (wholly) taken; empty when it was."""
    notes = [f"{note.name}: {note.reason}" for note in (*report.failed, *report.skipped)]
    notes += [f"{name}: named by the DICOMDIR, not there" for name in report.missing]
    if report.failed or report.missing or report.imported == 0:
        return "\n".join(notes) or "nothing to import"
    return ""


def _free_name(target: Path) -> Path:
    if not target.exists():
        return target
    return target.with_name(f"{time.time_ns()}-{target.name}")

"""Watched folders: files put there are imported.

A file is taken when its size and time have not changed for two seconds, and removed once it is
durable in the spool. A crash in between imports it twice, which stores it once. What cannot be
imported goes to ``.failed/`` with its reason in a text file beside it. Names that begin with a dot
and symbolic links are left alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from isocenter.apps.archive.importing import ImportReport, spool_import
from isocenter.apps.archive.spool import Spool
from isocenter.core.errors import IsocenterError, SpoolError

log = structlog.get_logger(__name__)

FAILED = ".failed"
STABLE_S = 2.0


class WatchedFolder:
    """One folder; keeps in mind since when each file has looked as it looks."""

    def __init__(self, folder: Path, spool: Spool, *, stable_s: float = STABLE_S) -> None:
        self._folder = folder
        self._spool = spool
        self._stable_s = stable_s
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def scan(self) -> int:
        """Import what is stable; returns the number of files that were dealt with.

        Raises:
            SpoolError: the spool takes no more; the files stay.
        """
        stable = list(self._stable())
        for path in stable:
            self._import(path)
            self._seen.pop(path, None)
        return len(stable)

    def _stable(self) -> Iterator[Path]:
        now = time.monotonic()
        present: dict[Path, tuple[tuple[int, int], float]] = {}
        for path in self._files():
            try:
                state = path.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            look = (state.st_size, state.st_mtime_ns)
            before = self._seen.get(path)
            since = before[1] if before and before[0] == look else now
            present[path] = (look, since)
        self._seen = present
        for path, (_, since) in present.items():
            if now - since >= self._stable_s:
                yield path

    def _files(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self._folder):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder) / name
                if not name.startswith(".") and not path.is_symlink() and path.is_file():
                    yield path

    def _import(self, path: Path) -> None:
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
        else:
            path.unlink(missing_ok=True)

    def _fail(self, path: Path, reason: str) -> None:
        """Put a file aside with its reason; the log gets no file name, for names can identify."""
        target = _free_name(self._folder / FAILED / path.relative_to(self._folder))
        with contextlib.suppress(FileNotFoundError):  # taken away in the meantime
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            target.with_name(f"{target.name}.txt").write_text(reason + "\n", encoding="utf-8")
            log.warning("watched_file_failed", folder=str(self._folder))


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

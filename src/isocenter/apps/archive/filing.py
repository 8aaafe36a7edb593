"""Files into their places under the archive, durably: data, then names, then folders' names.

A file is only ever moved to a place that no committed row names, so what a crash leaves behind is
written over when the same record comes again.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from isocenter.core.dicom.uids import safe_path_component

_KNOWN_FOLDERS = 4096


def archive_path(study_uid: str, series_uid: str, sop_uid: str, *, digest: str = "") -> str:
    """``<study>/<series>/<instance>.dcm``, relative to the archive; safe for any UIDs.

    Args:
        digest: set for an instance that replaces another: the other keeps its name until the
            database has forgotten it.
    """
    mark = f"-{digest[:16]}" if digest else ""
    name = f"{safe_path_component(sop_uid)}{mark}.dcm"
    return "/".join((safe_path_component(study_uid), safe_path_component(series_uid), name))


class Filer:
    """Moves staged files into the archive. Keeps in mind which folders' names are on disk.

    A folder that exists may still be lost with the power when the process that made it died
    before it synced the parent; so a folder counts as durable only when this process synced it.
    """

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._durable: OrderedDict[Path, None] = OrderedDict()

    def place(self, moves: Iterable[tuple[Path, str]]) -> None:
        """Move ``(staged file, path in the archive)`` pairs; durable when it returns.

        Raises:
            OSError: the disk does not take them.
        """
        series_folders: dict[Path, None] = {}
        for staged, relative in moves:
            target = self._archive / relative
            if target.parent not in series_folders:
                self._forget_if_gone(target.parent)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                series_folders[target.parent] = None
            staged.rename(target)
        for folder in series_folders:
            sync_folder(folder)
        self._sync_parents(series_folders)

    def _forget_if_gone(self, series_folder: Path) -> None:
        """A folder that a deletion removed is made anew, and its name must be synced again."""
        if not series_folder.is_dir():
            self._durable.pop(series_folder, None)
            self._durable.pop(series_folder.parent, None)

    def _sync_parents(self, series_folders: Iterable[Path]) -> None:
        new = [folder for folder in series_folders if folder not in self._durable]
        studies = dict.fromkeys(folder.parent for folder in new)
        for study in studies:
            sync_folder(study)
        if any(study not in self._durable for study in studies):
            sync_folder(self._archive)
        for folder in (*new, *studies):
            self._durable[folder] = None
        while len(self._durable) > _KNOWN_FOLDERS:
            self._durable.popitem(last=False)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

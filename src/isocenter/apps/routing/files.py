"""Files of runs and quarantine: durable, moved as one, named from the inside only."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path


def sync_tree(folder: Path) -> None:
    """Have everything below a folder, names included, survive a power cut."""
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(here, name))
        _sync(Path(here))


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    _sync(folder)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder within a file system, durably. What was at the target is removed."""
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)
    _sync(target.parent)


def link_or_copy(source: Path, target: Path) -> int:
    """Keep a file under another name too, without its bytes where possible; its size."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            part = target.with_name(target.name + ".part")
            shutil.copyfile(source, part)
            _sync(part)
            part.rename(target)
        _sync(target.parent)
    return target.stat().st_size


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

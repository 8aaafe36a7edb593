"""How a study's new files come into the output folder: whole, searched, and on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from isocenter.core.errors import ConfigurationError

_AT_ONCE = 8


def work_folder(out: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder on the same file system, so that releasing is renaming."""
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file; a folder is needed for what comes out")
    out.mkdir(parents=True, exist_ok=True)
    beside = out.parent if out.parent.stat().st_dev == out.stat().st_dev else out
    if not os.access(beside, os.W_OK):
        beside = out
    return tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".work", dir=beside)


def release(work: Path, target: Path) -> None:
    """Have a study's new files in the output, on the disk: the whole folder by one rename."""
    folders = [entry.path for entry in os.scandir(work) if entry.is_dir()] + [str(work)]
    files = [entry.path for folder in folders for entry in os.scandir(folder) if not entry.is_dir()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # disks take many at once in the time of one
        for _ in pool.map(_sync_all, (files[first::_AT_ONCE] for first in range(_AT_ONCE))):
            pass
    _sync_all(folders)
    if not target.exists():
        work.rename(target)
    else:  # more objects of a study, or the same ones again: file by file
        for series in work.iterdir():
            (target / series.name).mkdir(exist_ok=True)
            for file in series.iterdir():
                file.replace(target / series.name / file.name)
            _sync(target / series.name)
    _sync(target.parent)


def _sync_all(paths: Iterable[str]) -> None:
    for path in paths:
        _sync(path)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Where thumbnails lie, and what came of each; files only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from django.conf import settings

from isocenter.core.dicom.uids import safe_path_component
from isocenter.runtime.state_files import read_state, write_text

_INDEX = "index.json"


class Entry(TypedDict):
    """What came of one series: of which newest receipt (ISO 8601), why not, what it says."""

    newest: str
    reason: str
    burned_in: bool


Index = dict[str, Entry]


def folder_of(study_uid: str) -> Path:
    """The folder of a study's thumbnails."""
    folder: Path = settings.LAYOUT.thumbnails
    return folder / safe_path_component(study_uid)


def file_of(study_uid: str, series_uid: str) -> Path:
    """The picture of a series."""
    return folder_of(study_uid) / f"{safe_path_component(series_uid)}.png"


def read_index(study_uid: str) -> Index:
    """By Series Instance UID; empty where nothing was rendered yet."""
    found = read_state(folder_of(study_uid) / _INDEX)
    return {
        uid: Entry(
            newest=str(entry["newest"]),
            reason=str(entry["reason"]),
            burned_in=bool(entry["burned_in"]),
        )
        for uid, entry in found.items()
        if isinstance(entry, dict) and entry.keys() >= Entry.__annotations__.keys()
    }


def changed_at(study_uid: str) -> int:
    """Changes with what `read_index` says; 0 where nothing was rendered yet."""
    try:
        return (folder_of(study_uid) / _INDEX).stat().st_mtime_ns
    except OSError:
        return 0


def write_index(study_uid: str, index: Index) -> None:
    """Replace it whole."""
    write_text(folder_of(study_uid) / _INDEX, json.dumps(index, indent=1) + "\n")

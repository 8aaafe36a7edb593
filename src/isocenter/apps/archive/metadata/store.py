"""Where documents of series lie, and how they get there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction

from isocenter.apps.archive import rows
from isocenter.apps.archive.metadata.stamps import SeriesNow, series_of_keys
from isocenter.core.dicom.json_model import SeriesFile
from isocenter.core.dicom.uids import safe_path_component
from isocenter.core.errors import DataSetError


def folder_of(study_uid: str) -> Path:
    """The folder of a study's documents."""
    folder: Path = settings.LAYOUT.metadata
    return folder / safe_path_component(study_uid)


def file_of(study_uid: str, series_uid: str) -> Path:
    """The document of a series."""
    return folder_of(study_uid) / f"{safe_path_component(series_uid)}.meta"


def relative_folder(study_uid: str) -> str:
    """The folder relative to the data directory, for the tombstone of a study."""
    return str(folder_of(study_uid).relative_to(settings.LAYOUT.root))


def relative_file(study_uid: str, series_uid: str) -> str:
    """The same of a series' document."""
    return str(file_of(study_uid, series_uid).relative_to(settings.LAYOUT.root))


@contextmanager
def opened(series: SeriesNow) -> Iterator[SeriesFile | None]:
    """The document of a series; None where it is not there, broken, or older than the rows."""
    try:
        file = file_of(series.study_uid, series.series_uid).open("rb", buffering=0)
    except OSError:
        yield None
        return
    with file:
        try:
            found = SeriesFile(file)
        except (DataSetError, OSError):
            yield None
            return
        yield found if found.stamp == series.stamp else None


def is_there(series: SeriesNow) -> bool:
    """Whether the document is there and up to date."""
    with opened(series) as found:
        return found is not None


def put(made: Path, series: SeriesNow) -> bool:
    """Move a document to its place, unless the series has changed or gone meanwhile.

    A deletion holds the study's lock: what is there when it has it is removed with the study, and
    nothing is put there afterwards.

    Returns:
        whether it is there now.

    Raises:
        OSError: the disk does not take it.
    """
    with transaction.atomic():
        rows.lock_studies([series.study_uid])
        if series not in series_of_keys([series.key]):
            return False
        target = file_of(series.study_uid, series.series_uid)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made.replace(target)
    return True


def discard(series: SeriesNow) -> None:
    """Remove a document that turned out to be broken."""
    file_of(series.study_uid, series.series_uid).unlink(missing_ok=True)

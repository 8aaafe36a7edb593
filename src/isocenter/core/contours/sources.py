"""What is there to draw and to draw on: files sorted into structure sets and image series."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.core.contours.image_series import SeriesFiles
from isocenter.core.contours.rtstruct import RT_STRUCTURE_SET_STORAGE, read_structure_set
from isocenter.core.contours.structure_set import StructureSet
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.header import Header
from isocenter.core.dicom.reading import header_of
from isocenter.core.errors import DicomError, NotDicomError

#: Objects that have rows and columns but are no images to draw contours on: RT Image, RT Dose,
#: Segmentation, Parametric Map, and the secondary captures.
_NOT_DRAWN_ON = (
    "1.2.840.10008.5.1.4.1.1.481.1",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.30",
    "1.2.840.10008.5.1.4.1.1.7",
)


@dataclass(frozen=True, eq=False)
class Sources:
    """Sorted input.

    Attributes:
        structure_sets: in the order of their SOP Instance UIDs.
        series: candidates to draw on, in the order of their UIDs.
        problems: files that are DICOM but cannot be read.
        digests: path → SHA-256, as far as known.
    """

    structure_sets: tuple[StructureSet, ...]
    series: tuple[SeriesFiles, ...]
    problems: tuple[str, ...]
    digests: dict[Path, str] = field(default_factory=dict, repr=False)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, computed at most once."""
        if path not in self.digests:
            with path.open("rb") as file:
                self.digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self.digests[path]


def files_under(paths: Iterable[Path], *, except_under: Path | None = None) -> list[Path]:
    """Every file of `paths`, folders searched through, in a fixed order, each once.

    Files under `except_under` (the output folder) are left out of folders.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                is_output = except_under is not None and file.is_relative_to(except_under)
                if file.is_file() and not is_output:
                    found[file] = None
        else:
            found[path] = None
    return list(found)


def sort_out(
    paths: Sequence[Path],
    *,
    digests: Mapping[Path, str] | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> Sources:
    """Reads the headers of `paths`, and the structure sets among them.

    Files that are no DICOM are passed over; DICOM that cannot be read is a problem. A SOP
    Instance UID that comes twice counts once.

    Raises:
        OSError: a file cannot be opened.
    """
    structure_sets: dict[str, StructureSet] = {}
    members: dict[str, list[tuple[str, Path, Header]]] = {}
    problems: list[str] = []
    seen: set[str] = set()
    for path in paths:
        try:
            meta, header = header_of(path, bounds)
            sop_uid = header.sop_uid or meta.sop_instance_uid
            sop_class = header.sop_class_uid or meta.sop_class_uid
            if sop_uid in seen:
                continue
            seen.add(sop_uid)
            if sop_class == RT_STRUCTURE_SET_STORAGE:
                structure_sets[sop_uid] = read_structure_set(path, bounds=bounds)
            elif _is_image(header, sop_class):
                members.setdefault(header.series_uid, []).append((sop_uid, path, header))
        except NotDicomError:
            continue
        except DicomError as error:
            problems.append(f"{path.name} cannot be read: {error}")
    return Sources(
        structure_sets=tuple(structure_sets[uid] for uid in sorted(structure_sets)),
        series=tuple(_series(uid, members[uid]) for uid in sorted(members)),
        problems=tuple(problems),
        digests=dict(digests or {}),
    )


def _is_image(header: Header, sop_class: str) -> bool:
    if not header.rows or not header.columns or not header.series_uid:
        return False
    return not any(
        sop_class == other or sop_class.startswith(f"{other}.") for other in _NOT_DRAWN_ON
    )


def _series(uid: str, members: list[tuple[str, Path, Header]]) -> SeriesFiles:
    # The order of the files on a disk must not decide anything.
    members = sorted(members, key=lambda member: member[0])
    first = members[0][2]
    return SeriesFiles(
        series_uid=uid,
        study_uid=first.study_uid,
        modality=first.modality,
        frame_of_reference_uid=first.frame_of_reference_uid,
        paths=tuple(path for _, path, _ in members),
        sop_uids=tuple(sop_uid for sop_uid, _, _ in members),
        is_multi_frame=any((header.number_of_frames or 1) > 1 for _, _, header in members),
    )

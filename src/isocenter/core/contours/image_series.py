"""A series of single-frame images that lie in one stack: what contours are drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.core.contours.structure_set import StructureSet
from isocenter.core.dicom.geometry import SliceStack

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class ImageSeries:
    """One image series. Pixels are not kept; outputs that need them read them from `paths`.

    Attributes:
        paths: files in stack order (ascending along the normal).
        headers: their data sets without pixel data, in stack order. Treat as read-only.
        stack: where the slices lie.
    """

    series_uid: str
    study_uid: str
    modality: str
    frame_of_reference_uid: str
    paths: tuple[Path, ...]
    headers: tuple[Dataset, ...] = field(repr=False)
    stack: SliceStack = field(repr=False)

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def sop_uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs in stack order."""
        return tuple(str(header.SOPInstanceUID) for header in self.headers)


@dataclass(frozen=True, eq=False)
class Pair:
    """A structure set and one image series that it is drawn on.

    Attributes:
        matched_by: "series" (ReferencedFrameOfReferenceSequence names it), "instances"
            (ContourImageSequence does), or "frame of reference" (and geometry fits).
        warnings: what a person should know of the match.
        foreign_rois: numbers of the ROIs that lie in another frame of reference; not drawn.
    """

    series: ImageSeries
    structure_set: StructureSet
    matched_by: str
    warnings: tuple[str, ...] = ()
    foreign_rois: frozenset[int] = frozenset()

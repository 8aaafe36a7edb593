"""What an RT Structure Set says, as plain values (PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLOSED_PLANAR = "CLOSED_PLANAR"
CLOSEDPLANAR_XOR = "CLOSEDPLANAR_XOR"
#: The only geometric types that enclose an area.
CLOSED_TYPES = frozenset({CLOSED_PLANAR, CLOSEDPLANAR_XOR})


@dataclass(frozen=True, eq=False)
class Contour:
    """One item of ContourSequence (3006,0040).

    Attributes:
        points: (n, 3) float64, LPS in mm, read-only.
        geometric_type: ContourGeometricType (3006,0042): POINT, OPEN_PLANAR, CLOSED_PLANAR, …
        number: ContourNumber (3006,0048), or None.
        image_uids: ReferencedSOPInstanceUIDs of its ContourImageSequence (3006,0016).
    """

    points: NDArray[np.float64]
    geometric_type: str
    number: int | None = None
    image_uids: tuple[str, ...] = ()

    @property
    def is_closed(self) -> bool:
        return self.geometric_type in CLOSED_TYPES


@dataclass(frozen=True)
class Code:
    """A coded concept: CodeValue, CodingSchemeDesignator, CodeMeaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, eq=False)
class Roi:
    """A region of interest: what StructureSetROISequence, ROIContourSequence and
    RTROIObservationsSequence say of one ROINumber together.

    Attributes:
        number: ROINumber (3006,0022).
        name: ROIName (3006,0026), stripped; ``ROI <number>`` when the source has none.
        interpreted_type: RTROIInterpretedType (3006,00A4), upper case, or empty.
        colour: ROIDisplayColor (3006,002A) as (red, green, blue) 0..255, or None.
        frame_of_reference_uid: ReferencedFrameOfReferenceUID (3006,0024), or empty.
        generation_algorithm: ROIGenerationAlgorithm (3006,0036), or empty.
        description: ROIDescription (3006,0028), or empty.
        codes: RTROIIdentificationCodeSequence (3006,0086).
        problems: what could not be read of it, in words.
    """

    number: int
    name: str
    contours: tuple[Contour, ...] = ()
    interpreted_type: str = ""
    colour: tuple[int, int, int] | None = None
    frame_of_reference_uid: str = ""
    generation_algorithm: str = ""
    description: str = ""
    codes: tuple[Code, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class StructureSet:
    """One RTSTRUCT instance.

    Attributes:
        path: the file it was read from.
        frame_of_reference_uids: of ReferencedFrameOfReferenceSequence (3006,0010).
        referenced_series: SeriesInstanceUIDs named there (RTReferencedSeriesSequence).
        rois: in the order of StructureSetROISequence.
    """

    path: Path
    sop_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    label: str
    frame_of_reference_uids: tuple[str, ...]
    referenced_series: tuple[str, ...]
    rois: tuple[Roi, ...]

    @cached_property
    def contour_image_uids(self) -> frozenset[str]:
        """Every SOP Instance UID that a contour names; in real files they may all dangle."""
        return frozenset(u for roi in self.rois for c in roi.contours for u in c.image_uids)

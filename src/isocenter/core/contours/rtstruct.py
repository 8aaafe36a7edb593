"""Reading an RT Structure Set (PS3.3 A.19) into plain values.

ContourData (3006,0050) is most of the file. It is taken as raw bytes and parsed in one go per
contour, about six times faster than through pydicom's decimal strings, with the same values.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.contours.structure_set import Code, Contour, Roi, StructureSet
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import ContourError

__all__ = ["RT_STRUCTURE_SET_STORAGE", "Code", "Contour", "Roi", "StructureSet"]
__all__ += ["read_structure_set", "structure_set_of"]

RT_STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"

_CONTOUR_DATA = 0x30060050


def read_structure_set(path: Path, *, bounds: Bounds = DEFAULT_BOUNDS) -> StructureSet:
    """Reads the RTSTRUCT at `path`.

    A contour or ROI that makes no sense (ContourData that is no list of points, a number that
    is not finite) is left out and named in ``Roi.problems``; the rest is read.

    Raises:
        DicomError: no DICOM, or out of bounds.
        ContourError: no RT Structure Set.
    """
    return structure_set_of(read_dataset(path, bounds=bounds), path)


def structure_set_of(dataset: Dataset, path: Path) -> StructureSet:
    """The structure set in a data set that was read from `path`.

    ROIContourSequence is taken out of `dataset`, which becomes the header.

    Raises:
        ContourError: no RT Structure Set.
    """
    sop_class = _text(dataset, "SOPClassUID")
    if sop_class != RT_STRUCTURE_SET_STORAGE and _text(dataset, "Modality") != "RTSTRUCT":
        raise ContourError(f"{path.name} is no RT Structure Set (its SOP class is {sop_class})")
    drawn = {_number(item, "ReferencedROINumber"): item for item in _items(dataset, "ROIContour")}
    observed = {
        _number(item, "ReferencedROINumber"): item for item in _items(dataset, "RTROIObservations")
    }
    rois = tuple(
        _roi(item, drawn.get(number), observed.get(number))
        for item in _items(dataset, "StructureSetROI")
        if (number := _number(item, "ROINumber")) is not None
    )
    if "ROIContourSequence" in dataset:
        del dataset.ROIContourSequence
    frames, series = _references(dataset)
    return StructureSet(
        path=path,
        sop_uid=_text(dataset, "SOPInstanceUID"),
        sop_class_uid=sop_class,
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        label=_text(dataset, "StructureSetLabel"),
        frame_of_reference_uids=frames,
        referenced_series=series,
        rois=rois,
        header=dataset,
    )


def parse_points(value: Any) -> NDArray[np.float64]:
    """ContourData as it stands in the file, or as pydicom converted it, as (n, 3) LPS mm.

    Raises:
        ValueError: not numbers, not finite, or not a multiple of three.
    """
    if value is None:
        numbers = np.zeros(0)
    elif isinstance(value, bytes):
        numbers = np.fromstring(value.rstrip(b" \0"), dtype=np.float64, sep="\\")
    else:
        numbers = np.array([float(x) for x in value], dtype=np.float64)
    if numbers.size % 3:
        raise ValueError(f"{numbers.size} numbers, which is no multiple of three")
    if not np.isfinite(numbers).all():
        raise ValueError("a number is not finite")
    points = numbers.reshape(-1, 3)
    points.setflags(write=False)
    return points


def _roi(item: Dataset, drawn: Dataset | None, observed: Dataset | None) -> Roi:
    number = cast(int, _number(item, "ROINumber"))
    contours: list[Contour] = []
    problems: list[str] = []
    for index, part in enumerate(_items(drawn, "Contour"), start=1):
        try:
            contours.append(_contour(part))
        except (ValueError, TypeError, DeprecationWarning) as error:
            problems.append(f"contour {index} cannot be read ({error})")
    return Roi(
        number=number,
        name=_text(item, "ROIName") or f"ROI {number}",
        contours=tuple(contours),
        interpreted_type=_text(observed, "RTROIInterpretedType").upper(),
        colour=_colour(drawn),
        frame_of_reference_uid=_text(item, "ReferencedFrameOfReferenceUID"),
        generation_algorithm=_text(item, "ROIGenerationAlgorithm"),
        description=_text(item, "ROIDescription"),
        codes=_codes(observed),
        problems=tuple(problems),
    )


def _contour(item: Dataset) -> Contour:
    raw = item.get_item(_CONTOUR_DATA)
    return Contour(
        points=parse_points(raw.value if raw is not None else None),
        geometric_type=_text(item, "ContourGeometricType").upper(),
        number=_number(item, "ContourNumber"),
        image_uids=tuple(
            uid for ref in _items(item, "ContourImage") if (uid := _text(ref, _SOP_REFERENCE))
        ),
    )


_SOP_REFERENCE = "ReferencedSOPInstanceUID"


def _references(dataset: Dataset) -> tuple[tuple[str, ...], tuple[str, ...]]:
    frames: dict[str, None] = {}
    series: dict[str, None] = {}
    for frame in _items(dataset, "ReferencedFrameOfReference"):
        frames[_text(frame, "FrameOfReferenceUID")] = None
        for study in _items(frame, "RTReferencedStudy"):
            for item in _items(study, "RTReferencedSeries"):
                series[_text(item, "SeriesInstanceUID")] = None
    return tuple(uid for uid in frames if uid), tuple(uid for uid in series if uid)


def _colour(drawn: Dataset | None) -> tuple[int, int, int] | None:
    value: Any = drawn.get("ROIDisplayColor") if drawn is not None else None
    try:
        red, green, blue = (int(x) for x in value)
    except (TypeError, ValueError):
        return None
    return (red, green, blue) if all(0 <= x <= 255 for x in (red, green, blue)) else None


def _codes(observed: Dataset | None) -> tuple[Code, ...]:
    return tuple(
        Code(_text(item, "CodeValue"), _text(item, "CodingSchemeDesignator"), meaning)
        for item in _items(observed, "RTROIIdentificationCode")
        if (meaning := _text(item, "CodeMeaning"))
    )


def _items(dataset: Dataset | None, name: str) -> Iterable[Dataset]:
    value: Any = dataset.get(f"{name}Sequence") if dataset is not None else None
    return value if value is not None else ()


def _text(dataset: Dataset | None, keyword: str) -> str:
    value: Any = dataset.get(keyword) if dataset is not None else None
    return str(value).strip(" \0") if value is not None else ""


def _number(dataset: Dataset, keyword: str) -> int | None:
    try:
        value: Any = dataset.get(keyword)
        return int(value) if value is not None and value != "" else None
    except (TypeError, ValueError):
        return None

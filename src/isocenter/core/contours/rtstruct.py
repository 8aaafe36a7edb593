"""Reading an RT Structure Set (PS3.3 A.19) into plain values.

Most files are read without pydicom (`plain_items`), which takes a tenth of the time; what is
written in an unusual way is left to it. ContourData (3006,0050) is most of the file; it is taken
as raw bytes and parsed for all contours of an ROI in one go, to the values that ``float`` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from isocenter.core.contours.decimals import decimals
from isocenter.core.contours.plain_items import Item, plain_items
from isocenter.core.contours.structure_set import Code, Contour, Roi, StructureSet
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import ContourError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    Source: TypeAlias = Dataset | Item

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
    items = plain_items(path, bounds)
    return structure_set_of(read_dataset(path, bounds=bounds) if items is None else items, path)


def structure_set_of(dataset: Source, path: Path) -> StructureSet:
    """The structure set in a data set, or in plain items, read from `path`.

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
    )


def parse_points(value: Any) -> NDArray[np.float64]:
    """ContourData as it stands in the file, or as pydicom converted it, as (n, 3) LPS mm.

    Raises:
        ValueError: not numbers, not finite, or not a multiple of three.
    """
    (points,) = _parse_all([value])
    if isinstance(points, str):
        raise ValueError(points)
    return points


def _parse_all(values: Sequence[Any]) -> list[NDArray[np.float64] | str]:
    """Points of each contour, read-only, or why it has none."""
    texts = [_contour_text(value) for value in values]
    numbers = decimals([text for text in texts if text is not None])
    following = iter(numbers)
    return [_points_of(next(following) if text is not None else None) for text in texts]


def _contour_text(value: Any) -> bytes | None:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    try:  # what pydicom converted
        parts = [value] if isinstance(value, str | float) else value
        return b"\\".join(repr(float(part)).encode() for part in parts)
    except (TypeError, ValueError):
        return None


def _points_of(numbers: NDArray[np.float64] | None) -> NDArray[np.float64] | str:
    if numbers is None:
        return "it is no list of numbers"
    if numbers.size % 3:
        return f"{numbers.size} numbers, which is no multiple of three"
    if not np.isfinite(numbers).all():
        return "a number is not finite"
    points = numbers.reshape(-1, 3)
    points.setflags(write=False)
    return points


def _roi(item: Source, drawn: Source | None, observed: Source | None) -> Roi:
    number = cast(int, _number(item, "ROINumber"))
    contours, problems = _contours(list(_items(drawn, "Contour")))
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


def _contours(items: Sequence[Source]) -> tuple[list[Contour], list[str]]:
    """The contours that can be read, and what is wrong with the others."""
    contours: list[Contour] = []
    problems: list[str] = []
    for index, points in enumerate(_parse_all([_raw_points(item) for item in items])):
        if isinstance(points, str):
            problems.append(f"contour {index + 1} cannot be read ({points})")
            continue
        item = items[index]
        contours.append(
            Contour(
                points=points,
                geometric_type=_text(item, "ContourGeometricType").upper(),
                number=_number(item, "ContourNumber"),
                image_uids=tuple(
                    uid
                    for reference in _items(item, "ContourImage")
                    if (uid := _text(reference, "ReferencedSOPInstanceUID"))
                ),
            )
        )
    return contours, problems


def _raw_points(item: Source) -> Any:
    if isinstance(item, dict):
        return item.get("ContourData")
    raw = item.get_item(_CONTOUR_DATA)
    return raw.value if raw is not None else None


def _references(dataset: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    frames: dict[str, None] = {}
    series: dict[str, None] = {}
    for frame in _items(dataset, "ReferencedFrameOfReference"):
        frames[_text(frame, "FrameOfReferenceUID")] = None
        for study in _items(frame, "RTReferencedStudy"):
            for item in _items(study, "RTReferencedSeries"):
                series[_text(item, "SeriesInstanceUID")] = None
    return tuple(uid for uid in frames if uid), tuple(uid for uid in series if uid)


def _colour(drawn: Source | None) -> tuple[int, int, int] | None:
    value: Any = drawn.get("ROIDisplayColor") if drawn is not None else None
    try:
        red, green, blue = (int(x) for x in value)
    except (TypeError, ValueError):
        return None
    return (red, green, blue) if all(0 <= x <= 255 for x in (red, green, blue)) else None


def _codes(observed: Source | None) -> tuple[Code, ...]:
    return tuple(
        Code(_text(item, "CodeValue"), _text(item, "CodingSchemeDesignator"), meaning)
        for item in _items(observed, "RTROIIdentificationCode")
        if (meaning := _text(item, "CodeMeaning"))
    )


def _items(dataset: Source | None, name: str) -> Iterable[Source]:
    value: Any = dataset.get(f"{name}Sequence") if dataset is not None else None
    return value if value is not None else ()


def _text(dataset: Source | None, keyword: str) -> str:
    value: Any = dataset.get(keyword) if dataset is not None else None
    return str(value).strip(" \0") if value is not None else ""


def _number(dataset: Source, keyword: str) -> int | None:
    try:
        value: Any = dataset.get(keyword)
        return int(value) if value is not None and value != "" else None
    except (TypeError, ValueError):
        return None

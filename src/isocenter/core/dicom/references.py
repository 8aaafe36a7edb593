"""Which series and instances of its own study an object names.

Completion waits for series that are named; a structure set without its images is of no use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_until, reading_attributes
from isocenter.core.dicom.structure import PIXEL_TAGS

# What comes after the references and is large: contours, content tree, functional groups, pixels.
_STOP_AT = PIXEL_TAGS | {0x30060039, 0x0040A730, 0x52009229, 0x52009230}

_NAMING_CLASSES = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
        "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
        "1.2.840.10008.5.1.4.1.1.481.5",  # RT Plan
        "1.2.840.10008.5.1.4.1.1.481.8",  # RT Ion Plan
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.5",  # Surface Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    )
)
# Structured reports and key object selections (88), presentation states (11).
_NAMING_ROOTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.11.")


@dataclass(frozen=True, slots=True)
class References:
    """UIDs in the order in which they are named, each once.

    Attributes:
        series: Series Instance UIDs.
        instances: SOP Instance UIDs.
    """

    series: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


def names_others(sop_class_uid: str) -> bool:
    """Whether objects of this class mean nothing without the ones that they name."""
    return sop_class_uid in _NAMING_CLASSES or sop_class_uid.startswith(_NAMING_ROOTS)


def references_of(path: Path, *, bounds: Bounds = DEFAULT_BOUNDS) -> References:
    """:func:`named_series` of a file; reads no further than it must.

    Raises:
        DicomError: the file cannot be read.
    """
    return named_series(read_until(path, _STOP_AT, bounds=bounds))


def named_series(dataset: Dataset) -> References:
    """Series and instances of its own study that a data set names.

    Looks at Referenced Series Sequence (SEG, presentation states, PS3.3 C.7.6.16 and C.11.11),
    Referenced Frame of Reference Sequence (structure sets, C.8.8.5), the evidence sequences
    (structured reports, C.17.2) and the references of RT doses and plans (C.8.8.3, C.8.8.10).
    What is said to belong to another study is left out.

    Raises:
        DataSetError: an attribute makes no sense.
    """
    with quiet_pydicom(), reading_attributes("the data set"):
        study_uid = str(dataset.get("StudyInstanceUID", ""))
        own = str(dataset.get("SeriesInstanceUID", ""))
        series: dict[str, None] = {}
        instances: dict[str, None] = {}
        for item in _series_items(dataset, study_uid):
            series[str(item.get("SeriesInstanceUID", ""))] = None
            for keyword in (
                "ReferencedInstanceSequence",
                "ReferencedSOPSequence",
                "ReferencedImageSequence",
                "ContourImageSequence",
            ):
                _add_instances(instances, item, keyword)
        for keyword in (
            "ReferencedRTPlanSequence",
            "ReferencedStructureSetSequence",
            "ReferencedDoseSequence",
        ):
            _add_instances(instances, dataset, keyword)
        for name in ("", own):
            series.pop(name, None)
        instances.pop("", None)
        return References(tuple(series), tuple(instances))


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; none where it is missing, empty or no sequence."""
    value = dataset.get(keyword)
    return [item for item in value if isinstance(item, Dataset)] if value else []


def _series_items(dataset: Dataset, study_uid: str) -> Iterator[Dataset]:
    yield from _items(dataset, "ReferencedSeriesSequence")
    for frame in _items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in _items(frame, "RTReferencedStudySequence"):
            if _is_study(study.get("ReferencedSOPInstanceUID"), study_uid):
                yield from _items(study, "RTReferencedSeriesSequence")
    for evidence in (
        "CurrentRequestedProcedureEvidenceSequence",
        "PertinentOtherEvidenceSequence",
        "StudiesContainingOtherReferencedInstancesSequence",
    ):
        for study in _items(dataset, evidence):
            if _is_study(study.get("StudyInstanceUID"), study_uid):
                yield from _items(study, "ReferencedSeriesSequence")


def _is_study(named: object, study_uid: str) -> bool:
    """An item that names no study means this one."""
    return not named or str(named) == study_uid


def _add_instances(found: dict[str, None], dataset: Dataset, keyword: str) -> None:
    for item in _items(dataset, keyword):
        found[str(item.get("ReferencedSOPInstanceUID", ""))] = None

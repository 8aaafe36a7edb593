"""Image series → the same series with a disclaimer in the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from isocenter.core.contours.burn_in import burn_text
from isocenter.core.contours.options import BurnIn
from isocenter.core.contours.outputs.writer import Output, Progress, silent
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.derived import SourceInstance, new_instance_from, source_instance
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.dicom.uids import derive_uid
from isocenter.core.dicom.writing import write_part10

#: Changes whenever the same input gives other bytes than before.
VERSION = "1"


def burn_in_series(
    paths: Sequence[Path],
    out_dir: Path,
    options: BurnIn,
    *,
    made_at: datetime,
    determinant: str,
    kind: str = "burn-in",
    role: str = "",
    replaces_input: bool = True,
    bounds: Bounds = DEFAULT_BOUNDS,
    on_progress: Progress = silent,
) -> list[Output]:
    """Writes the images of one series again, with the text.

    Args:
        paths: images of one series.
        out_dir: an existing folder.
        options: text, position and size.
        made_at: aware; for the dates of what is written.
        determinant: hex digest of inputs and options; new UIDs are a function of it.
        kind, role: of the outputs.
        replaces_input: nobody will get the inputs (they are an earlier step's), so the new
            images name the inputs' own source images.
        bounds, on_progress: as everywhere.

    Raises:
        DicomError: an image cannot be read, or cannot take text.
    """
    outputs = []
    series_uid = derive_uid(determinant, "burn-in series")
    for index, path in enumerate(paths):
        source = read_dataset(path, bounds=bounds)
        sources = _sources_of(source) if replaces_input else ()
        dataset = _derived(source, determinant, series_uid, sources, made_at)
        burn_text(dataset, options, bounds=bounds)
        target = out_dir / f"{index + 1:04d}.dcm"
        write_part10(dataset, target)
        outputs.append(
            Output(
                kind=kind,
                role=role or "burnt-in disclaimer",
                path=target,
                sop_uid=str(dataset.SOPInstanceUID),
                series_uid=series_uid,
                sop_class_uid=str(dataset.SOPClassUID),
            )
        )
        on_progress((index + 1) / len(paths), "burn-in")
    return outputs


def _derived(
    source: Dataset,
    determinant: str,
    series_uid: str,
    sources: tuple[SourceInstance, ...],
    made_at: datetime,
) -> Dataset:
    return new_instance_from(
        source,
        sop_uid=derive_uid(determinant, "burn-in", source_instance(source).sop_instance_uid),
        series_uid=series_uid,
        series_number=int(source.get("SeriesNumber") or 0),
        series_description=str(source.get("SeriesDescription") or ""),
        made_at=made_at,
        derivation="disclaimer burnt into the pixels",
        source_refs=sources,
    )


def _sources_of(dataset: Dataset) -> tuple[SourceInstance, ...]:
    return tuple(
        SourceInstance(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        for item in dataset.get("SourceImageSequence") or ()
        if "ReferencedSOPClassUID" in item and "ReferencedSOPInstanceUID" in item
    )

"""Faces in CT and MR of the head (Clean Recognizable Visual Features Option, PS3.15 E.3.2).

From slices through the head a face can be drawn. A policy ignores that, refuses such images, or
has the face taken away. How that is done here, and what it does not do:

The body is what is brighter than air, its largest part, filled slice by slice. The vertex is its
highest point. From 85 mm below the vertex (above the brows of an adult) to the lowest slice, all
that lies before a cutting surface becomes air: the skin surface smoothed by 40 mm, so that the cut
shows no features of its own, 25 mm deeper, and never less than 10 mm behind the skin. The rest
stays bit by bit. Nose, lips, brows and the front of the orbits go; a part of the sinuses and of
the eyes goes with them; ears, hair, skull shape, teeth behind the cut, and the profile above the
brows stay. Nothing is registered to an atlas, so a child's head is cut lower than an adult's, and
an unusual pose may be cut wrongly. It makes recognition harder; it is no proof against it. Where
the vertex is not in the images, or the axes of the images are further than 30 degrees from those
of the patient, the series is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID
from scipy import ndimage

from isocenter.core.deid.pixels.blanking import black_value
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE
from isocenter.core.dicom.pixels import decode_frames, pixel_layout
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset, reading_attributes
from isocenter.core.dicom.transcode import transcode
from isocenter.core.dicom.writing import write_part10
from isocenter.core.errors import DicomError

_HEAD_WORDS = frozenset(
    (
        *("HEAD", "BRAIN", "SKULL", "CRANIUM", "FACE", "HEADNECK", "HEAD&NECK", "NEURO", "ORBIT"),
        *("ORBITS", "SINUS", "SINUSES", "CEREBRUM", "KOPF", "SCHAEDEL", "TETE", "CRANE", "CABEZA"),
        *("CRANEO", "TESTA"),
    )
)
#: SNOMED codes of CID 4031 that have a face: head, brain, face, skull, head and neck, orbit.
_HEAD_CODES = frozenset(
    ("69536005", "12738006", "89545001", "89546000", "774007", "363654007",
     "T-D1100", "T-A0100", "T-D1200", "T-11100", "T-D1000", "T-D1480")
)  # fmt: skip
_MODALITIES = ("CT", "MR", "PT")
_NAMED_BY = (
    "BodyPartExamined",
    "ProtocolName",
    "SeriesDescription",
    "StudyDescription",
    "PerformedProcedureStepDescription",
)
_ABOVE_BROWS_MM = 85.0
_DEPTH_MM, _LEAST_MM, _SMOOTHING_MM = 25.0, 10.0, 40.0
_CT_SKIN = -300.0  # Hounsfield units
_MAX_ANGLE_COSINE = 0.86  # 30 degrees
_VERTEX_MM2 = 4500.0  # a slice with a larger section is not the top of a head
#: Half widths and heights of a section through a head, in mm.
_WIDTH_MM, _LENGTH_MM = (110.0, 190.0), (130.0, 250.0)


@dataclass(frozen=True, slots=True)
class FaceResult:
    """What became of a series.

    Attributes:
        refused: why it must not leave; no file was changed then.
        removed_ml: volume of tissue that became air.
    """

    refused: str | None = None
    removed_ml: float = 0.0


def names_head(dataset: Dataset) -> bool:
    """Whether the header says that a CT, MR or PET image is of a head.

    Raises:
        DataSetError: an attribute makes no sense.
    """
    with quiet_pydicom(), reading_attributes("the image"):
        if str(dataset.get("Modality") or "").strip().upper() not in _MODALITIES:
            return False
        for item in dataset.get("AnatomicRegionSequence") or ():
            if str(item.get("CodeValue") or "").strip() in _HEAD_CODES:
                return True
        text = " ".join(str(dataset.get(keyword) or "") for keyword in _NAMED_BY).upper()
    words = set("".join(c if c.isalnum() or c == "&" else " " for c in text).split())
    return bool(words & _HEAD_WORDS)


def looks_like_head(body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> bool:
    """Whether sections through a body have the size of a head (geometry, for lack of words).

    Args:
        body: (slices from the feet up, rows from the front, columns).
        spacing_mm: in the same order.
    """
    sections = 0
    for section in body:
        if not section.any():
            continue
        length = np.ptp(np.flatnonzero(section.any(axis=1))) * spacing_mm[1]
        width = np.ptp(np.flatnonzero(section.any(axis=0))) * spacing_mm[2]
        fits = _WIDTH_MM[0] < width < _WIDTH_MM[1] and _LENGTH_MM[0] < length < _LENGTH_MM[1]
        sections += int(fits)
    return sections * spacing_mm[0] >= 40


def deface_series(paths: Sequence[Path], *, bounds: Bounds = DEFAULT_BOUNDS) -> FaceResult:
    """Take the face out of one series of single-frame CT or MR images, in place.

    The whole series is held in memory. Files whose pixels change become explicit little endian.

    Args:
        paths: all images of the series.

    Returns:
        why it was refused, or how much went.

    Raises:
        OSError: a file cannot be read or written.
    """
    try:
        datasets = [read_dataset(path, bounds=bounds) for path in paths]
        stack = SliceStack.of_datasets(datasets)
        stored = np.stack(
            [decode_frames(datasets[i], bounds=bounds)[0] for i in stack.source_index]
        )
        if stored.ndim != 3 or len(stack) < 2:
            return FaceResult("its images make no volume, so its face cannot be removed")
        turned = _Turned.of(stack)
        if turned is None:
            return FaceResult("its axes are too far from the patient's to find the face")
        values = turned.apply(_measured(stored, datasets, stack))
        cut = face_region(values, turned.spacing_mm, is_ct=str(datasets[0].Modality) == "CT")
        if cut is None:
            return FaceResult("the vertex of the head is not in the images")
        region = turned.undo(cut)
        tissue = turned.undo(body_of(values, is_ct=str(datasets[0].Modality) == "CT"))
        for index, source in enumerate(stack.source_index):
            if region[index].any():
                _write(datasets[source], paths[source], stored[index], region[index])
        voxel_ml = float(np.prod(turned.spacing_mm)) / 1000
        return FaceResult(None, float(np.count_nonzero(region & tissue)) * voxel_ml)
    except DicomError as error:
        return FaceResult(f"its face cannot be removed: {error}")


def body_of(values: NDArray[np.float32], *, is_ct: bool) -> NDArray[np.bool_]:
    """The largest thing that is no air, filled slice by slice."""
    skin = _CT_SKIN if is_ct else _otsu(values)
    labels, count = ndimage.label(values > skin)
    if count == 0:
        return np.zeros(values.shape, np.bool_)
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    body = labels == int(sizes.argmax())
    return np.stack([ndimage.binary_fill_holes(section) for section in body])


def face_region(
    values: NDArray[np.float32], spacing_mm: tuple[float, float, float], *, is_ct: bool
) -> NDArray[np.bool_] | None:
    """The voxels that become air; None where no vertex is found.

    Args:
        values: (slices from the feet up, rows from the front to the back, columns).
        spacing_mm: in the same order.
        is_ct: values are Hounsfield units.
    """
    body = body_of(values, is_ct=is_ct)
    areas = body.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
    occupied = np.flatnonzero(areas > 0)
    if occupied.size == 0 or areas[-1] > _VERTEX_MM2:
        return None
    lowest_of_brow = int(occupied[-1] - _ABOVE_BROWS_MM / spacing_mm[0])
    region = np.zeros(body.shape, np.bool_)
    if lowest_of_brow < 0:
        return region
    rows = body.shape[1]
    has_body = np.asarray(body.any(axis=1), dtype=np.bool_)
    front = np.where(has_body, body.argmax(axis=1), rows).astype(np.float64)
    smooth = _smoothed(front, has_body, spacing_mm)
    cut = np.maximum(smooth + _DEPTH_MM / spacing_mm[1], front + _LEAST_MM / spacing_mm[1])
    # Beside the head the surface runs back round it; the cut ends at the widest place.
    middle = _middle_rows(body)
    cut = np.where(has_body, np.minimum(cut, np.maximum(middle, front)), 0)
    row = np.arange(rows)[np.newaxis, :, np.newaxis]
    region[: lowest_of_brow + 1] = row < cut[: lowest_of_brow + 1, np.newaxis, :]
    return region


def _smoothed(
    front: NDArray[np.float64], known: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """A surface without features: a Gaussian mean over where there is one."""
    sigma = (_SMOOTHING_MM / spacing_mm[0], _SMOOTHING_MM / spacing_mm[2])
    weight = ndimage.gaussian_filter(known.astype(np.float64), sigma, mode="nearest")
    total = ndimage.gaussian_filter(np.where(known, front, 0), sigma, mode="nearest")
    smooth: NDArray[np.float64] = total / np.maximum(weight, 1e-6)
    return smooth


def _middle_rows(body: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each slice the row half way from front to back, as (slices, 1)."""
    middle = np.zeros((body.shape[0], 1))
    for index, section in enumerate(body):
        rows = np.flatnonzero(section.any(axis=1))
        if rows.size:
            middle[index] = (rows[0] + rows[-1]) / 2
    return middle


def _otsu(values: NDArray[np.float32]) -> float:
    """A threshold between air and tissue, for want of units: half of Otsu's."""
    from skimage.filters import threshold_otsu

    sample = values[::2, ::2, ::2]
    if float(np.ptp(sample)) == 0:
        return float("inf")
    return float(threshold_otsu(sample)) * 0.5


@dataclass(frozen=True)
class _Turned:
    """How (slice, row, column) is turned to (up, back, left), and back."""

    order: tuple[int, int, int]
    flipped: tuple[int, ...]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, stack: SliceStack) -> _Turned | None:
        step = stack.affine()[:3, :3].T[::-1]  # of slice, row, column
        lengths = np.linalg.norm(step, axis=1)
        cosines = step / lengths[:, np.newaxis]
        order = [int(np.argmax(np.abs(cosines[:, axis]))) for axis in (2, 1, 0)]
        chosen = [cosines[order[i], axis] for i, axis in enumerate((2, 1, 0))]
        if sorted(order) != [0, 1, 2] or min(map(abs, chosen)) < _MAX_ANGLE_COSINE:
            return None
        flipped = tuple(i for i, cosine in enumerate(chosen) if cosine < 0)
        spacing = tuple(float(lengths[axis]) for axis in order)
        return cls((order[0], order[1], order[2]), flipped, (spacing[0], spacing[1], spacing[2]))

    def apply(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.flip(volume.transpose(self.order), self.flipped)

    def undo(self, volume: NDArray[np.bool_]) -> NDArray[np.bool_]:
        back = np.argsort(self.order)
        return np.flip(volume, self.flipped).transpose([int(axis) for axis in back])


def _measured(
    stored: NDArray[np.generic], datasets: Sequence[FileDataset], stack: SliceStack
) -> NDArray[np.float32]:
    """Stored values with the modality's slope and intercept (PS3.3 C.11.1)."""
    values = stored.astype(np.float32)
    with reading_attributes("the image"):
        for index, source in enumerate(stack.source_index):
            slope = datasets[source].get("RescaleSlope")
            intercept = datasets[source].get("RescaleIntercept")
            values[index] *= float(slope if slope is not None else 1)
            values[index] += float(intercept if intercept is not None else 0)
    return values


def _write(
    dataset: FileDataset, path: Path, stored: NDArray[np.generic], region: NDArray[np.bool_]
) -> None:
    """The slice with the region blanked, explicit little endian."""
    if str(dataset.file_meta.TransferSyntaxUID) != EXPLICIT_LITTLE:
        transcode(path, path, EXPLICIT_LITTLE)
        dataset = read_dataset(path)
    layout = pixel_layout(dataset)
    values = stored.copy()
    values[region] = black_value(stored, layout.photometric_interpretation, dataset)
    dataset.PixelData = values.tobytes() + bytes(values.nbytes % 2)
    dataset["PixelData"].VR = "OB" if layout.bits_allocated <= 8 else "OW"
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    dataset.RecognizableVisualFeatures = "NO"
    write_part10(dataset, path)
